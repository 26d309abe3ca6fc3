"""Records in SQLite. One process writes a file; afterwards it is only read, by any number of processes.

A changed file is a copy of the file before it. Row numbers only rise: the vectors of a removed record stay in their part
until parts are merged, so another record must not get their row.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from videopath.core.errors import KnowledgeError
from videopath.core.privacy.paths import is_screened, screened_label, stands_for
from videopath.knowledge.index import lexical
from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES
from videopath.knowledge.index.viewer import EncodedMedia
from videopath.knowledge.records.edits import RecordEdit
from videopath.knowledge.records.record import InstructionRecord, canonical_json
from videopath.knowledge.records.sources import same_source, source_path
from videopath.knowledge.records.sqlite_file import damage_as_error, in_time, limit_cells, open_read_only

_TEXTS = ("id", "source", "site", "question", "description", "diagnosis", "licence", "patient", "group")
_MORE = ("media", "provenance")  # stored as JSON, since no query uses them
_COLUMNS = ", ".join(f'"{name}"' for name in _TEXTS)
_SCHEMA = f"""
CREATE TABLE records (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    source_stem TEXT NOT NULL,
    site TEXT,
    question TEXT NOT NULL,
    description TEXT NOT NULL,
    diagnosis TEXT NOT NULL,
    licence TEXT NOT NULL,
    patient TEXT COLLATE NOCASE,
    "group" TEXT COLLATE NOCASE,
    more TEXT NOT NULL
);
CREATE INDEX by_stem ON records (source_stem);
CREATE INDEX by_site ON records (site);
CREATE INDEX by_patient ON records (patient) WHERE patient IS NOT NULL;
CREATE INDEX by_group ON records ("group") WHERE "group" IS NOT NULL;
CREATE TABLE looks (row INTEGER NOT NULL, sha256 TEXT NOT NULL, fingerprints BLOB NOT NULL);
CREATE INDEX by_row ON looks (row);
CREATE INDEX by_file ON looks (sha256);
{lexical.SCHEMA}
"""
_EDITS = """
CREATE TABLE IF NOT EXISTS edits (number INTEGER PRIMARY KEY, id TEXT NOT NULL, edit TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_edited ON edits (id);
"""  # made by the first edit: files without edits stay as they were
_INSERT = f"INSERT INTO records ({_COLUMNS}, source_stem, more) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_SELECT = f"SELECT row, {_COLUMNS}, more FROM records"  # noqa: S608 - constant names only
_MODULUS = 1 << 256


class StoreWriter:
    """Writes a new file of records, empty or a copy of another, in a ``with`` block.

    The file is whole if the block succeeds.
    """

    def __init__(self, path: Path, copy_of: Path | None = None, data_sha256: str = f"{0:064x}") -> None:
        if copy_of is not None:
            shutil.copyfile(copy_of, path)
        self._folder = path.parent
        self._sum = int(data_sha256, 16)
        self._database = sqlite3.connect(path)
        limit_cells(self._database)
        self._database.execute("PRAGMA journal_mode = OFF")  # the file is new: after an error it is deleted
        self._database.execute("PRAGMA synchronous = OFF")
        if copy_of is None:
            self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                lexical.count_terms(self._database)
                self._database.commit()
        finally:
            self._database.close()

    @property
    def data_sha256(self) -> str:
        """The sum, modulo 2^256, of the SHA-256 of the records' canonical JSON. It does not depend on order or history."""
        return f"{self._sum:064x}"

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM records").fetchone()[0])

    def numbered(self) -> Iterator[tuple[int, InstructionRecord]]:
        """Yield all records with their rows, in row order. Records may be removed meanwhile."""
        return _numbered(lambda query, *values: self._database.execute(query, values).fetchall())

    def insert(self, record: InstructionRecord, media: Iterable[EncodedMedia] = ()) -> int:
        """Add a record and return its row. Raises ``KnowledgeError`` if the id exists already."""
        texts = [getattr(record, name) for name in _TEXTS]
        fields = record.model_dump(mode="json", include=set(_MORE), exclude_defaults=True)
        more = json.dumps(fields, ensure_ascii=False) if fields else ""
        try:
            row = self._database.execute(_INSERT, (*texts, _stem(record.source), more)).lastrowid
        except sqlite3.IntegrityError as error:
            raise KnowledgeError(
                f"The record id {record.id!r} occurs twice; every record of a knowledge base needs its own."
            ) from error
        assert row is not None
        lexical.insert(self._database, row, record)
        self.add_media(row, media)
        self._sum = (self._sum + _hash_as_number(record)) % _MODULUS
        return row

    def add_media(self, row: int, media: Iterable[EncodedMedia]) -> None:
        """Store the hashes of a record's media files and the fingerprints of their frames."""
        self._database.executemany(
            "INSERT INTO looks VALUES (?, ?, ?)",
            [(row, clip.sha256, clip.fingerprints.tobytes()) for clip in media],
        )

    def remove(self, record_id: str) -> int:
        """Remove a record and return its row. Raises ``KnowledgeError`` if the id does not exist."""
        stored = self._database.execute(f"{_SELECT} WHERE id = ?", (record_id,)).fetchone()
        if stored is None:
            raise KnowledgeError(f"The knowledge base has no record {record_id!r}.")
        with damage_as_error(self._folder):
            row, record = int(stored[0]), _record(stored)
        lexical.remove(self._database, row, record)
        self._database.execute("DELETE FROM looks WHERE row = ?", (row,))
        self._database.execute("DELETE FROM records WHERE row = ?", (row,))
        self._sum = (self._sum - _hash_as_number(record)) % _MODULUS
        return row

    def keep_edit(self, edit: RecordEdit) -> None:
        """Store an edit in the history of its record."""
        self._database.executescript(_EDITS)
        self._database.execute(
            "INSERT INTO edits (id, edit) VALUES (?, ?)", (edit.after.id, edit.model_dump_json())
        )

    def forget_edits(self, record_id: str) -> None:
        """Remove the history of a record, whose older texts would otherwise outlive it."""
        if _has_edits(self._database.execute):
            self._database.execute("DELETE FROM edits WHERE id = ?", (record_id,))

    def optimise(self) -> None:
        """Merge the pieces of the word index, so that reading is fast."""
        lexical.optimise(self._database)


class RecordStore:
    """A written file of records, opened read-only. Several threads may use it."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._database = open_read_only(path)
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, self._database.close)

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM records")[0][0])

    def __iter__(self) -> Iterator[InstructionRecord]:
        """Yield all records in row order; a thousand are read at a time."""
        return (record for _, record in self.numbered())

    def numbered(self) -> Iterator[tuple[int, InstructionRecord]]:
        """Yield all records with their rows, in row order."""
        numbered = _numbered(self._rows)
        while True:
            with damage_as_error(self._folder):
                entry = next(numbered, None)
            if entry is None:
                return
            yield entry

    def at(self, rows: Sequence[int]) -> list[InstructionRecord]:
        """Return the records of these rows, in this order."""
        with damage_as_error(self._folder):
            return [_record(self._rows(f"{_SELECT} WHERE row = ?", int(row))[0]) for row in rows]

    def get(self, record_id: str) -> InstructionRecord | None:
        """Return the record of an id, or ``None``."""
        rows = self._rows(f"{_SELECT} WHERE id = ?", record_id)
        with damage_as_error(self._folder):
            return _record(rows[0]) if rows else None

    def rows(self, site: str | None = None, diagnosed: bool = False) -> np.ndarray:
        """Return the rows of a site, or of all sites, int64, rising; with ``diagnosed`` only rows with a diagnosis."""
        rows = self._rows(
            "SELECT row FROM records WHERE (?1 IS NULL OR site = ?1) AND (NOT ?2 OR diagnosis != '') ORDER BY row",
            site,
            diagnosed,
        )
        with damage_as_error(self._folder):
            return np.fromiter((row for (row,) in rows), np.int64, len(rows))

    def row_of(self, record_id: str) -> int | None:
        """Return the row of an id, or ``None``."""
        rows = self._rows("SELECT row FROM records WHERE id = ?", record_id)
        return int(rows[0][0]) if rows else None

    def edits(self, record_id: str) -> list[RecordEdit]:
        """Return the edits of a record, the first one first."""
        with self._lock, damage_as_error(self._folder), in_time(self._database):
            if not _has_edits(self._database.execute):
                return []
            rows = self._database.execute("SELECT edit FROM edits WHERE id = ? ORDER BY number", (record_id,))
            return [RecordEdit.model_validate_json(text) for (text,) in rows]

    def media_of(self, row: int) -> list[tuple[str, np.ndarray]]:
        """Return (SHA-256, fingerprints uint8 [frames, FINGERPRINT_BYTES]) of each media file of a row."""
        media = self._rows("SELECT sha256, fingerprints FROM looks WHERE row = ? ORDER BY rowid", row)
        with damage_as_error(self._folder):
            return [
                (sha256, np.frombuffer(data, np.uint8).reshape(-1, FINGERPRINT_BYTES))
                for sha256, data in media
            ]

    def page(
        self, start: int, count: int, site: str | None = None, diagnosis: str | None = None
    ) -> tuple[int, list[InstructionRecord]]:
        """Return how many records there are of a site and a diagnosis (None: of every one), and ``count`` of them."""
        where = "WHERE (?1 IS NULL OR coalesce(site, '') = ?1) AND (?2 IS NULL OR diagnosis = ?2)"
        total = int(self._rows(f"SELECT count(*) FROM records {where}", site, diagnosis)[0][0])  # noqa: S608
        query = f"{_SELECT} {where} ORDER BY row LIMIT ?3 OFFSET ?4"
        rows = self._rows(query, site, diagnosis, count, start)
        with damage_as_error(self._folder):
            return total, [_record(row) for row in rows]

    def rows_of_source(self, name: str) -> list[int]:
        """Return the rows whose source is the same video, slide or patient as ``name``."""
        rows = self._rows("SELECT row, source FROM records WHERE source_stem = ?", _stem(name))
        with damage_as_error(self._folder):
            same = [row for row, other in rows if same_source(name, other)]
        if not is_screened(name):
            return same
        every = self._rows("SELECT row, source FROM records")
        with damage_as_error(self._folder):
            own = _last_part(name)
            return sorted({*same, *(row for row, other in every if stands_for(own, _last_part(other)))})

    def rows_of_file(self, sha256: str) -> list[int]:
        """Return the rows that have a media file with this SHA-256."""
        return [row for (row,) in self._rows("SELECT DISTINCT row FROM looks WHERE sha256 = ?", sha256)]

    def rows_of_patient(self, name: str) -> list[int]:
        """Return the rows of a patient; ``name`` may be the hash that stands for a name."""
        return self._rows_named("patient", name)

    def rows_of_group(self, name: str) -> list[int]:
        """Return the rows of a group; ``name`` may be the hash that stands for a name."""
        return self._rows_named("group", name)

    def _rows_named(self, column: str, name: str) -> list[int]:
        names = {name, screened_label(name)}
        if is_screened(name):
            every = self._rows(f'SELECT DISTINCT "{column}" FROM records WHERE "{column}" IS NOT NULL')
            with damage_as_error(self._folder):
                names |= {other for (other,) in every if stands_for(name, other)}
        rows = {
            row
            for one in names
            for (row,) in self._rows(f'SELECT row FROM records WHERE "{column}" = ?', one)
        }
        return sorted(rows)

    def fingerprints(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the fingerprints of all frames: (rows int64 [n], fingerprints uint8 [n, FINGERPRINT_BYTES])."""
        media = self._rows("SELECT row, fingerprints FROM looks ORDER BY row")
        with damage_as_error(self._folder):
            known = np.frombuffer(b"".join(data for _, data in media), np.uint8)
            counts = [len(data) // FINGERPRINT_BYTES for _, data in media]
            rows = np.repeat(np.array([row for row, _ in media], np.int64), counts)
            return rows, known.reshape(len(rows), FINGERPRINT_BYTES)

    def diagnosed(self) -> list[tuple[int, str, str, str, str]]:
        """Return (row, id, group, diagnosis, site) of the records that name a diagnosis, in row order.

        The group has one vote. It is the patient if there is one, else the record's group, else its source.
        """
        return self._rows(
            "SELECT row, id, coalesce(patient, \"group\", source), diagnosis, coalesce(site, '') FROM records "
            "WHERE diagnosis != '' ORDER BY row"
        )

    def search_words(
        self, text: str, depth: int, site: str | None, diagnosed: bool
    ) -> list[tuple[int, float]]:
        """Return (row, BM25) of the records that share words with a text; see :mod:`videopath.knowledge.index.lexical`."""
        with self._lock, damage_as_error(self._folder), in_time(self._database):
            return lexical.search(self._database, text, depth, site, diagnosed)

    def counts(self, column: str) -> dict[str, int]:
        """Return value of a column → how many records have it, the most frequent first."""
        if column not in _TEXTS:
            raise ValueError(column)
        rows = self._rows(f'SELECT "{column}", count(*) FROM records GROUP BY 1 ORDER BY 2 DESC, 1')  # noqa: S608
        return {value or "": count for value, count in rows}

    def _rows(self, query: str, *values: object) -> list[tuple]:
        with self._lock, damage_as_error(self._folder), in_time(self._database):
            return self._database.execute(query, values).fetchall()


def _has_edits(execute: Callable[..., sqlite3.Cursor]) -> bool:
    return execute("SELECT 1 FROM sqlite_master WHERE name = 'edits'").fetchone() is not None


def _numbered(select: Callable[..., list[tuple]]) -> Iterator[tuple[int, InstructionRecord]]:
    """Yield all records with their rows, a thousand at a time."""
    last = 0
    while rows := select(f"{_SELECT} WHERE row > ? ORDER BY row LIMIT 1000", last):
        yield from ((int(row[0]), _record(row)) for row in rows)
        last = int(rows[-1][0])


def data_sha256(records: Iterable[InstructionRecord]) -> str:
    """Return the hash of records, as :attr:`StoreWriter.data_sha256` has it."""
    return f"{sum(map(_hash_as_number, records)) % _MODULUS:064x}"


def _hash_as_number(record: InstructionRecord) -> int:
    return int.from_bytes(hashlib.sha256(canonical_json(record).encode()).digest(), "big")


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _stem(source: str) -> str:
    parts = source_path(source)
    return parts[-1] if parts else ""


def _record(row: tuple) -> InstructionRecord:
    more = json.loads(row[-1]) if row[-1] else {}
    return InstructionRecord(**dict(zip(_TEXTS, row[1:-1], strict=True)), **more)
