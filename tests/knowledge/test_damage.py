"""Damaged or foreign records, and a full disk, end in an error of ours; a stranger's file runs no program."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from videopath.core.choices import IndexKind
from videopath.core.errors import KnowledgeError
from videopath.knowledge import KnowledgeBase, verify_folder
from videopath.knowledge.index.vectors import Vectors, write_vectors
from videopath.knowledge.records.record import InstructionRecord, read_records
from videopath.knowledge.storage.manifest import FORMAT
from videopath.knowledge.storage.store import RecordStore, StoreWriter

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
    with pytest.raises(KnowledgeError, match="never writes: they are not opened"):
        RecordStore(stored)
    with pytest.raises(KnowledgeError, match="never writes: they are not opened"):
        list(read_records(stored.parent))
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("count", [3, 5000])
def test_a_full_disk_is_told_by_the_index_too(tmp_path: Path, count: int) -> None:
    (tmp_path / "text.faiss.part").symlink_to("/dev/full")
    vectors = np.ones((count, 32), np.float32)
    with pytest.raises(OSError, match="No space left"):
        write_vectors(tmp_path / "text", np.arange(count), [vectors], 32, "exact")


@pytest.mark.parametrize("column", ["zeroblob(900000000)", "upper(description)"])
def test_a_computed_column_is_not_computed(stored: Path, column: str) -> None:
    _changed(stored, f"ALTER TABLE records ADD COLUMN made TEXT AS ({column}) VIRTUAL")
    with pytest.raises(KnowledgeError, match=r"computed column \('made'\)"):
        RecordStore(stored)


def test_a_question_to_the_records_is_bounded_in_time(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath.knowledge.records.sqlite_file._PATIENCE", 0.2)
    endless = "WITH RECURSIVE n(row) AS (SELECT 1 UNION ALL SELECT row + 1 FROM n) SELECT count(*) FROM n"
    store = RecordStore(stored)
    with pytest.raises(KnowledgeError, match="did not answer within"):
        store._rows(endless)
    assert len(store) == 2


@pytest.fixture(params=["exact", "hnsw", "ivf", "ivfpq"])
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[IndexKind, list[Path]]:
    """Written vectors of a kind, and their files."""
    drawn = np.random.default_rng(0).normal(size=(1200, 8)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    kind, parts = write_vectors(tmp_path / "text", np.arange(1200), [drawn], 8, request.param)
    files = [part.replace(part.with_suffix("")) for part in parts]
    assert len(Vectors.open(kind, files)) == 1200
    return kind, files


def _index(files: list[Path]) -> Path:
    return next(path for path in files if path.suffix == ".faiss")


def test_an_index_that_is_cut_anywhere_in_its_headers_is_refused(
    vectors: tuple[IndexKind, list[Path]],
) -> None:
    kind, files = vectors
    whole = _index(files).read_bytes()
    for length in [*range(160), *range(len(whole) - 80, len(whole))]:
        _index(files).write_bytes(whole[:length])
        with pytest.raises(KnowledgeError, match="cannot be opened"):
            Vectors.open(kind, files)


def test_sizes_that_no_file_has_are_refused_before_memory_is_taken(
    vectors: tuple[IndexKind, list[Path]],
) -> None:
    kind, files = vectors
    whole = _index(files).read_bytes()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place in range(4, 140):
        for size in (1 << 38, (1 << 31) - 1, -1):
            data = bytearray(whole)
            data[place : place + 8] = size.to_bytes(8, "little", signed=True)
            _index(files).write_bytes(data)
            with suppress(KnowledgeError):  # some places are not sizes
                Vectors.open(kind, files)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 300 << 10  # KiB


@pytest.mark.parametrize("vectors", ["ivf", "ivfpq"], indirect=True)
def test_an_index_that_names_vectors_which_are_not_there_is_told(
    vectors: tuple[IndexKind, list[Path]],
) -> None:
    kind, files = vectors
    data = _index(files).read_bytes()
    for number in range(1200):
        data = data.replace(number.to_bytes(8, "little"), (number + (1 << 40)).to_bytes(8, "little"), 1)
    _index(files).write_bytes(data)
    with pytest.raises(KnowledgeError):  # the ids of the lists, or sizes that were hit with them
        Vectors.open(kind, files).search(np.ones(8, np.float32), 3)


def test_a_folder_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    record = InstructionRecord(id="a", source="a", question="What?", description="Glands.")
    for use in (KnowledgeBase.open, lambda name: KnowledgeBase.build(name, [record])):
        with pytest.raises(KnowledgeError, match="not valid UTF-8"):
            use(folder)
    assert "not valid UTF-8" in verify_folder(folder)[0]


def test_a_manifest_with_half_characters_is_damaged(stored: Path) -> None:
    file = {"name": stored.name, "sha256": "0" * 64, "size": 1}
    mark = {"name": "letters\ud800", "sha256": "0", "dimension": 8}
    manifest = {"format": FORMAT, "version": 1, "count": 2, "data_sha256": "0" * 64, "embedder": mark}
    manifest |= {"image_encoder": None, "records": file, "parts": [], "changes": [], "sha256": "0"}
    (stored.parent / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(KnowledgeError, match="damaged"):
        KnowledgeBase.open(stored.parent)
