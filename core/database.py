"""SQLite databases that several threads and processes write to."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from videopath.core.files import private_folder, replaced_on_success

_NO_SIDE_FILES = {
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM,
}  # fmt: skip
"""Errors of SQLite when it cannot write the files that all connections of one database share."""

_MAX_CELL = 64 << 20  # bytes


def create_database(path: Path) -> None:
    """Create an empty database in write-ahead mode, and its folder, for the owner alone; an existing one is kept.

    SQLite waits for other connections, but not while one of them changes the mode: if two processes began with a new
    file at the same moment, one would fail with "database is locked". So the file appears only after it has its mode.

    Raises:
        OSError: The folder or the file cannot be written.
        sqlite3.Error: SQLite cannot write the file.
    """
    if path.exists():
        return
    private_folder(path.parent)
    with FileLock(path.with_name(f"{path.name}.lock"), mode=0o600):
        if path.exists():
            return
        with replaced_on_success(path, private=True) as part, closing(sqlite3.connect(part)) as database:
            database.execute("PRAGMA journal_mode=WAL")


def connect(path: Path | str, **options: Any) -> sqlite3.Connection:
    """Open a database and read its schema once, so that a damaged file fails here.

    Args:
        path: The file, or a ``file:`` address.
        options: Those of ``sqlite3.connect``.

    Raises:
        sqlite3.Error: The file is damaged or cannot be opened. Messages of SQLite may quote bytes that are not UTF-8;
            Python's ``UnicodeDecodeError`` for them becomes a ``sqlite3.DatabaseError``.
    """
    database = sqlite3.connect(path, **options)
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UnicodeDecodeError as error:
        database.close()
        raise sqlite3.DatabaseError("its schema is damaged") from error
    except sqlite3.Error:
        database.close()
        raise
    return database


@contextmanager
def open_read_only(path: Path, timeout: float = 5.0) -> Iterator[sqlite3.Connection]:
    """Yield a connection that only reads and sees all committed changes, even on a read-only or full disk.

    Text that is not UTF-8 is read with replacement characters.

    Args:
        path: The file.
        timeout: Seconds to wait for a writer.

    Raises:
        sqlite3.Error: The file is damaged or cannot be opened.
        OSError: The changes must be copied to a temporary folder, and there is no room.
    """
    try:
        # SQLite falls back to read-only by itself; only a connection that may write removes its side files
        database = _connect_to_read(path, "mode=rw", timeout)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NO_SIDE_FILES:
            raise
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:  # the newest changes are only in this log
            with _copied(path, log) as copy, closing(_connect_to_read(copy, "mode=rw", timeout)) as database:
                yield database
            return
        database = _connect_to_read(path, "mode=ro&immutable=1", timeout)
    with closing(database):
        yield database


def _connect_to_read(path: Path, mode: str, timeout: float) -> sqlite3.Connection:
    database = connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=timeout)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_CELL)
    database.text_factory = lambda data: data.decode(errors="replace")
    return database


@contextmanager
def _copied(path: Path, log: Path) -> Iterator[Path]:
    """Yield a temporary copy of a database with its write-ahead log."""
    with tempfile.TemporaryDirectory(prefix="videopath-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        yield Path(folder, path.name)
