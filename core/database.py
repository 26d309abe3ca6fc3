"""SQLite databases that several threads and processes write to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from videopath.core.files import replaced_on_success


def create_database(path: Path) -> None:
    """An empty database in write-ahead mode, with its folder; nothing happens where there is one already.

    SQLite waits for other connections, but not while one of them changes the mode: two that begin with a new file at
    the same moment would be told that it is locked. So nobody sees it before it has its mode. Raises ``OSError`` or
    ``sqlite3.Error`` when it cannot be written.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        with replaced_on_success(path) as made, closing(sqlite3.connect(made)) as database:
            database.execute("PRAGMA journal_mode=WAL")
