"""SQLite databases that several threads and processes write to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from videopath.core.files import private_folder, replaced_on_success


def create_database(path: Path) -> None:
    """An empty database in write-ahead mode, for its owner alone, with its folder; nothing happens where there is one already.

    SQLite waits for other connections, but not while one of them changes the mode: two that begin with a new file at
    the same moment would be told that it is locked. So nobody sees it before it has its mode. Raises ``OSError`` or
    ``sqlite3.Error`` when it cannot be written.
    """
    if path.exists():
        return
    private_folder(path.parent)
    with FileLock(path.with_name(f"{path.name}.lock"), mode=0o600):
        if path.exists():
            return
        with replaced_on_success(path, private=True) as made, closing(sqlite3.connect(made)) as database:
            database.execute("PRAGMA journal_mode=WAL")
