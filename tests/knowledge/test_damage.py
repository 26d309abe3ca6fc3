"""Damaged or foreign records, and a full disk, end in an error of ours; a stranger's file runs no program."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from videopath.core.errors import KnowledgeError
from videopath.knowledge.records import InstructionRecord, read_records
from videopath.knowledge.store import RecordStore, StoreWriter
from videopath.knowledge.vectors import write_vectors

_ENDLESS = "CREATE VIEW records AS WITH RECURSIVE n(row) AS (SELECT 1 UNION ALL SELECT row + 1 FROM n) SELECT * FROM n"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file of two records, under the name that a knowledge base gives it."""
    path = tmp_path / "records-0123456789ab.sqlite"
    with StoreWriter(path) as writer:
        for name in ("a", "b"):
            record = InstructionRecord(id=name, source=name, question="What?", description="Glands.")
            writer.insert(record)
    (tmp_path / "manifest.json").write_text("{}")
    return path


def _changed(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path


_READ: list[Callable[[RecordStore], object]] = [
    list,
    lambda store: store.at([1]),
    lambda store: store.get("a"),
    lambda store: store.rows_of_source("a"),
    lambda store: store.counts("site"),
    lambda store: store.search_words("glands", 3, None, False),
]


@pytest.mark.parametrize("column", ["id", "source", "site", "description", "more"])
def test_a_bad_cell_is_no_foreign_error(stored: Path, column: str) -> None:
    for cell in ("X'00FF'", "''", "CAST(X'00' AS TEXT)", "CAST(X'FF' AS TEXT)", "'[1]'"):
        store = RecordStore(_changed(stored, f"UPDATE records SET {column} = {cell} WHERE row = 1"))  # noqa: S608
        for read in _READ:
            with suppress(KnowledgeError):  # some cells are as good as others
                read(store)
        store.close()


@pytest.mark.parametrize(
    "more", ["'{\"media\": 3}'", "7", "'[1]'", "'{\"no\": 1}'", f"'{'[' * 50_000}'", "X'FF'"]
)
def test_a_bad_cell_of_json_is_named(stored: Path, more: str) -> None:
    _changed(stored, f"UPDATE records SET more = {more} WHERE row = 1")  # noqa: S608
    with pytest.raises(KnowledgeError, match="cannot be read"):
        list(RecordStore(stored))
    told: list[KnowledgeError] = []
    assert [record.id for record in read_records(stored.parent, left_out=told.append)] == ["b"]
    assert len(told) == 1


def test_damaged_fingerprints_and_missing_rows_are_told(stored: Path) -> None:
    _changed(stored, "INSERT INTO looks VALUES (1, 'x', X'00')")
    with pytest.raises(KnowledgeError, match="cannot be read"):
        RecordStore(stored).fingerprints()
    with pytest.raises(KnowledgeError, match="cannot be read"):
        RecordStore(stored).at([99])


@pytest.mark.parametrize("program", [_ENDLESS, "CREATE TRIGGER t AFTER INSERT ON looks BEGIN SELECT 1; END"])
def test_a_program_in_the_place_of_records_is_not_run(stored: Path, program: str) -> None:
    if program is _ENDLESS:
        _changed(stored, "ALTER TABLE records RENAME TO others")
    _changed(stored, program)
    began = time.monotonic()
    with pytest.raises(KnowledgeError, match="only tables are read"):
        RecordStore(stored)
    with pytest.raises(KnowledgeError, match="only tables are read"):
        list(read_records(stored.parent))
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("count", [3, 5000])
def test_a_full_disk_is_told_by_the_index_too(tmp_path: Path, count: int) -> None:
    (tmp_path / "text.faiss.part").symlink_to("/dev/full")
    vectors = np.ones((count, 32), np.float32)
    with pytest.raises(OSError, match="No space left"):
        write_vectors(tmp_path / "text", np.arange(count), [vectors], 32, "exact")
