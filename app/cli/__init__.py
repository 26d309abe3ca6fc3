"""The command ``videopath``; it holds no logic of diagnosis."""
