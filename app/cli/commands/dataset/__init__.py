"""Commands of ``videopath dataset``."""
