"""SQLite files of records that may come from a stranger: opened read-only, and damage raises ``KnowledgeError``."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from videopath.core.errors import KnowledgeError

_DAMAGE = (
    sqlite3.Error, ValidationError, TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError,
)  # fmt: skip
"""The errors of reading cells that hold something else than they should."""
_LONGEST_CELL = 64 << 20  # bytes
_PATIENCE = 60.0  # seconds that one query may take
_STEPS = 100_000  # SQLite's steps between two looks at the clock
_GENERATED = (2, 3)  # SQLite's codes for columns that are computed when they are read or written


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a file of records, also on a read-only disk. Several threads may use the connection.

    Raises:
        KnowledgeError: The file is not a database, or has views, triggers or computed columns. These are programs, which
            may run for ever, and VideoPath never writes them.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with damage_as_error(path.parent):
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            limit_cells(database)
            database.execute("PRAGMA trusted_schema = OFF")
            programs = _programs(database)
        except sqlite3.Error:
            database.close()
            raise
    if programs:
        database.close()
        kind, name = programs[0]
        raise KnowledgeError(
            f"The records in {path.parent} have a {kind} ({str(name)[:60]!r}), which VideoPath never writes: "
            "they are not opened."
        )
    return database


def limit_cells(database: sqlite3.Connection) -> None:
    """Limit the memory of any text or function of the database."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)


@contextmanager
def in_time(database: sqlite3.Connection) -> Iterator[None]:
    """Interrupt a query within the block that takes more than 60 seconds, and raise ``KnowledgeError``."""
    end = time.monotonic() + _PATIENCE
    database.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if time.monotonic() > end:
            raise KnowledgeError(
                f"The knowledge base's records did not answer within {_PATIENCE:.0f} s: they are damaged, or made to "
                "take long."
            ) from error
        raise
    finally:
        database.set_progress_handler(None, 0)


def _programs(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return (kind, name) of everything that SQLite would run when the file is read."""
    entries = database.execute("SELECT type, name FROM sqlite_master").fetchall()
    programs = [(kind, name) for kind, name in entries if kind not in ("table", "index")]
    for kind, table in entries:
        columns = database.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
        if kind == "table":
            programs += [("computed column", name) for name, hidden in columns if hidden in _GENERATED]
    return programs


@contextmanager
def damage_as_error(folder: Path) -> Iterator[None]:
    """Raise ``KnowledgeError`` for the errors that damaged records cause."""
    try:
        yield
    except KnowledgeError:
        raise
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise KnowledgeError(f"The knowledge base's records in {folder} cannot be read: {reason}.") from error
