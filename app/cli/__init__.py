"""The command ``videopath``. No logic of diagnosis in it."""
