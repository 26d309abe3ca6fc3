"""Records in SQLite: written once, then only read (several processes may read, also on a read-only disk)."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from videopath.core.errors import KnowledgeError
from videopath.knowledge.records import InstructionRecord
from videopath.knowledge.sources import same_source, source_path

_COLUMNS = ("id", "source", "site", "question", "description", "diagnosis", "licence")
_SCHEMA = """
CREATE TABLE records (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    source_stem TEXT NOT NULL,
    site TEXT,
    question TEXT NOT NULL,
    description TEXT NOT NULL,
    diagnosis TEXT NOT NULL,
    licence TEXT NOT NULL
);
CREATE INDEX by_stem ON records (source_stem);
CREATE INDEX by_site ON records (site);
"""
_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM records"  # noqa: S608 - constant names only


def write_store(path: Path, records: Iterable[InstructionRecord]) -> None:
    """Write the records to a new file, in order, with rows 1, 2, 3 …

    Raises ``KnowledgeError`` that names an id which occurs twice.
    """
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # the file is new: it is whole or it is thrown away
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(_SCHEMA)
        for row, record in enumerate(records, start=1):
            try:
                database.execute(_INSERT, _values(row, record))
            except sqlite3.IntegrityError as error:
                raise KnowledgeError(
                    f"The record id {record.id!r} occurs twice; every record of a knowledge base needs its own."
                ) from error
        database.commit()


class RecordStore:
    """A written store, opened to read. May be used from several threads."""

    def __init__(self, path: Path) -> None:
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        self._database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._turn = threading.Lock()
        self.close = weakref.finalize(self, self._database.close)

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM records")[0][0])

    def __iter__(self) -> Iterator[InstructionRecord]:
        """All records in row order."""
        return map(_record, self._rows(f"{_SELECT} ORDER BY row"))

    def at(self, rows: Sequence[int]) -> list[InstructionRecord]:
        """The records of the given rows, in that order."""
        return [_record(self._rows(f"{_SELECT} WHERE row = ?", int(row))[0]) for row in rows]

    def get(self, record_id: str) -> InstructionRecord | None:
        """The record of an id."""
        found = self._rows(f"{_SELECT} WHERE id = ?", record_id)
        return _record(found[0]) if found else None

    def rows_where(self, site: str | None, not_sources: Iterable[str], diagnosed: bool) -> list[int]:
        """Rows of a site, of none of the sources, and with a diagnosis if asked."""
        rows = self._rows(
            "SELECT row FROM records WHERE (?1 IS NULL OR site = ?1) AND (NOT ?2 OR diagnosis != '') ORDER BY row",
            site,
            diagnosed,
        )
        excluded = {row for source in not_sources for row in self._rows_of_source(source)}
        return [row for (row,) in rows if row not in excluded]

    def counts(self, column: str) -> dict[str, int]:
        """How many records have each value of a column, the most frequent first."""
        if column not in _COLUMNS:
            raise ValueError(column)
        rows = self._rows(f"SELECT {column}, count(*) FROM records GROUP BY 1 ORDER BY 2 DESC, 1")  # noqa: S608
        return {value or "": count for value, count in rows}

    def _rows_of_source(self, source: str) -> set[int]:
        parts = source_path(source)
        stem = parts[-1] if parts else ""
        rows = self._rows("SELECT row, source FROM records WHERE source_stem = ?", stem)
        return {row for row, other in rows if same_source(source, other)}

    def _rows(self, query: str, *values: object) -> list[tuple]:
        with self._turn:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise KnowledgeError(f"The knowledge base's records cannot be read: {error}.") from error


def _values(row: int, record: InstructionRecord) -> tuple[object, ...]:
    parts = source_path(record.source)
    stem = parts[-1] if parts else ""
    texts = (record.question, record.description, record.diagnosis, record.licence)
    return (row, record.id, record.source, stem, record.site, *texts)


def _record(row: tuple) -> InstructionRecord:
    return InstructionRecord(**dict(zip(_COLUMNS, row, strict=True)))
