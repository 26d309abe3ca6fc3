"""``videopath cases``: the case library."""
