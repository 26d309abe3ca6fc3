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
"""What SQLite says where it cannot write the files that connections of one database share."""


_LONGEST_CELL = 64 << 20  # bytes


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


def connect(path: Path | str, **options: Any) -> sqlite3.Connection:
    """``sqlite3.connect``, with a first look into the file. Raises ``sqlite3.Error`` alone.

    What SQLite says of damage may quote bytes that are not UTF-8; Python then raises an error of its own.
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
    """A connection that only reads, also on a read-only or a full disk, with all that was committed.

    ``timeout``: seconds to wait for a writer. Text that is not UTF-8 is read with replacement marks. Raises
    ``sqlite3.Error``, or ``OSError`` where changes must be copied to a temporary folder that has no room.
    """
    try:
        # falls to reading by itself; alone takes its side files away
        database = _for_reading(path, "mode=rw", timeout)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NO_SIDE_FILES:
            raise
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:  # the newest changes are there alone
            with _copied(path, log) as copy, closing(_for_reading(copy, "mode=rw", timeout)) as database:
                yield database
            return
        database = _for_reading(path, "mode=ro&immutable=1", timeout)
    with closing(database):
        yield database


def _for_reading(path: Path, how: str, timeout: float) -> sqlite3.Connection:
    """A connection that reads, and has looked into its file."""
    database = connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=timeout)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
    database.text_factory = lambda data: data.decode(errors="replace")
    return database


@contextmanager
def _copied(path: Path, log: Path) -> Iterator[Path]:
    """A copy of a database with its write-ahead log, for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="videopath-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        yield Path(folder, path.name)
