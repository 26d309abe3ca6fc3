"""A file of records that may come from a stranger: opened for reading, and its damage told as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from videopath.core.errors import KnowledgeError

_DAMAGE = (
    sqlite3.Error, ValidationError, TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError,
)  # fmt: skip
"""What reading raises when cells hold something else than they should."""


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a file of records, also on a read-only disk; may be used from several threads.

    Raises ``KnowledgeError`` for a file that is no database, and for one with views or triggers: these are
    programs, which may run for ever, and no version of VideoPath writes them.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with damage_told(path.parent):
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            database.execute("PRAGMA trusted_schema = OFF")
            programs = database.execute(
                "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
            ).fetchone()
        except sqlite3.Error:
            database.close()
            raise
    if programs:
        database.close()
        kind, name = programs
        raise KnowledgeError(
            f"The records in {path.parent} have a {kind} ({str(name)[:60]!r}), where only tables are read: "
            "they are not opened."
        )
    return database


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn what damaged records raise into ``KnowledgeError``."""
    try:
        yield
    except KnowledgeError:
        raise
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise KnowledgeError(f"The knowledge base's records in {folder} cannot be read: {reason}.") from error
