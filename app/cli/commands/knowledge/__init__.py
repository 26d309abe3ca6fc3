"""``videopath knowledge``: build, change, search and check knowledge bases."""
