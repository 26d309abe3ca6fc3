"""``videopath knowledge``: build, change and inspect knowledge bases."""
