"""A knowledge base that lives: updates, versions, parts that are merged, builds that go on, the format of before."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import KnowledgeError
from videopath.knowledge import (
    InstructionRecord,
    KnowledgeBase,
    Query,
    ViewWeights,
    read_records,
    verify_folder,
)


@pytest.fixture
def base(tmp_path: Path, words: ModuleType) -> KnowledgeBase:
    return KnowledgeBase.build(tmp_path / "base", words.some_records(12), words.WordEncoder())


def changed(record: InstructionRecord, description: str) -> InstructionRecord:
    return record.model_copy(update={"description": description})


def test_an_update_takes_the_place_of_the_record(base: KnowledgeBase, words: ModuleType) -> None:
    new = changed(words.some_records(12)[3], "Keratin pearls between spindled cells.")
    assert base.update([new]) == 1
    assert base.get("r3") == new
    assert len(base) == 12
    assert base.search("keratin pearls", 1)[0].record == new
    assert base.verify() == []
    again = KnowledgeBase.open(base.folder, words.WordEncoder())
    assert again.search("keratin pearls", 1)[0].record == new
    assert all("pattern 3 " not in hit.record.description for hit in again.search("pattern 3", 12))
    with pytest.raises(KnowledgeError, match="no record 'absent'"):
        base.update([new.model_copy(update={"id": "absent"})])
    with pytest.raises(KnowledgeError, match="'r3' occurs twice"):
        base.update([new, new])


def test_versions_and_what_they_changed(base: KnowledgeBase, words: ModuleType) -> None:
    before = base.info().data_sha256
    base.add(words.some_records(2, 12), note="two more")
    base.update([changed(base.get("r1"), "Other words.")])
    base.remove(["r12", "r13"], note="they were of another study")
    base.update([words.some_records(2)[1]])
    told = [(c.version, c.action, c.added, c.updated, c.removed, c.records, c.note) for c in base.changes()]
    assert told == [
        (1, "build", 12, 0, 0, 12, ""),
        (2, "add", 2, 0, 0, 14, "two more"),
        (3, "update", 0, 1, 0, 14, ""),
        (4, "remove", 0, 0, 2, 12, "they were of another study"),
        (5, "update", 0, 1, 0, 12, ""),
    ]
    assert base.changes()[-1].data_sha256 == base.info().data_sha256 == before  # the same records again
    assert [c.when for c in base.changes()] == sorted(c.when for c in base.changes())
    assert base.info().version == 5
    KnowledgeBase.build(base.folder, words.some_records(3), words.WordEncoder())
    assert KnowledgeBase.open(base.folder, words.WordEncoder()).info().version == 6


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "update"]), st.integers(0, 30)), max_size=25),
)
def test_any_history_gives_what_building_at_once_gives(tmp_path_factory, words, history) -> None:
    folder = tmp_path_factory.mktemp("history")
    base = KnowledgeBase.build(folder / "a", words.some_records(3, 100), words.WordEncoder())
    expected = {record.id: record for record in words.some_records(3, 100)}
    for step, (action, number) in enumerate(history):
        (record,) = words.some_records(1, number)
        if action == "add" and record.id not in expected:
            base.add([record])
            expected[record.id] = record
        elif action == "remove" and record.id in expected:
            base.remove([record.id])
            del expected[record.id]
        elif action == "update" and record.id in expected:
            del expected[record.id]
            expected[record.id] = changed(record, f"Step {step} of pattern {number}.")
            base.update([expected[record.id]])
    assert list(base) == list(expected.values())
    assert base.verify() == []
    at_once = KnowledgeBase.build(folder / "b", expected.values(), words.WordEncoder())
    assert base.info().data_sha256 == at_once.info().data_sha256
    for weights in (ViewWeights(1, 0, 0), ViewWeights(0, 0, 1), ViewWeights(1, 0, 1)):
        found = [
            {h.record.id: h.scores for h in kb.find(Query("pattern 3 with mucin"), 40, weights).hits}
            for kb in (base, at_once)
        ]
        assert found[0].keys() == found[1].keys()
        for record_id, scores in found[0].items():
            assert scores == pytest.approx(found[1][record_id], abs=1e-5)
    base.merge()
    assert base.verify() == []
    assert np.array_equal(base.vectors(), at_once.vectors())
    assert [part.vectors for part in base._opened.manifest.parts] == [len(expected)]


def test_parts_are_merged_after_the_last_record_was_removed(base: KnowledgeBase, words: ModuleType) -> None:
    base.add(words.some_records(1, 50))
    base.remove([words.some_records(1, 50)[0].id])
    base.merge()
    assert base.verify() == []


def test_many_additions_stay_few_parts(base: KnowledgeBase, words: ModuleType) -> None:
    for start in range(12, 52):
        base.add(words.some_records(1, start))
    assert len(base.info().index["text"]) <= 8
    assert len(base) == 52
    assert base.verify() == []
    assert base.search(words.some_records(1, 30)[0].description, 1)[0].record.id == "r30"


class Failing:
    """Encodes a number of texts, then stops as a full disk or Ctrl-C would."""

    def __init__(self, words: ModuleType, most: int) -> None:
        self._encoder = words.WordEncoder()
        self.name, self.sha256 = self._encoder.name, self._encoder.sha256
        self.dimension = self._encoder.dimension
        self.most, self.seen = most, 0

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray:
        if self.seen + len(texts) > self.most:
            raise KeyboardInterrupt
        self.seen += len(texts)
        return self._encoder.encode(texts)


def test_a_build_that_was_stopped_goes_on(tmp_path: Path, words: ModuleType) -> None:
    records = words.some_records(900)
    stopped = Failing(words, 600)
    with pytest.raises(KeyboardInterrupt):
        KnowledgeBase.build(tmp_path / "kb", records, stopped)
    assert stopped.seen == 512
    told: list[tuple[int, int]] = []
    rest = Failing(words, 900)
    base = KnowledgeBase.build(tmp_path / "kb", records, rest, lambda done, total: told.append((done, total)))
    assert rest.seen == 900 - 512  # what was embedded is not embedded again
    assert told[-1] == (900, 900)
    once = KnowledgeBase.build(tmp_path / "once", records, words.WordEncoder())
    assert np.array_equal(base.vectors(), once.vectors())
    assert not (tmp_path / "kb" / ".building").exists()


def test_a_rebuild_that_fails_leaves_the_old_one_in_use(base: KnowledgeBase, words: ModuleType) -> None:
    with pytest.raises(KeyboardInterrupt):
        KnowledgeBase.build(base.folder, words.some_records(900), Failing(words, 300))
    old = KnowledgeBase.open(base.folder, words.WordEncoder())
    assert len(old) == 12
    old.add(words.some_records(1, 12))  # beside what the stopped build has left
    assert len(KnowledgeBase.build(base.folder, words.some_records(900), Failing(words, 900))) == 900
    assert verify_folder(base.folder) == []


def test_two_builds_of_a_folder_do_not_run_at_once(tmp_path: Path, words: ModuleType) -> None:
    (tmp_path / "kb" / ".building").mkdir(parents=True)
    with (
        FileLock(tmp_path / "kb" / ".building" / "lock"),
        pytest.raises(KnowledgeError, match="Another process is building"),
    ):
        KnowledgeBase.build(tmp_path / "kb", words.some_records(2), words.WordEncoder())


_OLD = """
CREATE TABLE records (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
  source_stem TEXT NOT NULL, site TEXT, question TEXT NOT NULL, description TEXT NOT NULL, diagnosis TEXT NOT NULL,
  licence TEXT NOT NULL);
"""


def test_a_knowledge_base_of_the_format_before_is_read_as_records(tmp_path: Path, words: ModuleType) -> None:
    old = tmp_path / "old"
    old.mkdir()
    records = words.some_records(4)
    database = sqlite3.connect(old / "records-0123456789ab.sqlite")
    database.executescript(_OLD)
    for row, r in enumerate(records, start=1):
        values = (row, r.id, r.source, "", r.site, r.question, r.description, r.diagnosis, r.licence)
        database.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    database.commit()
    database.close()
    (old / "manifest.json").write_text(json.dumps({"format": "videopath-knowledge/1", "sha256": "x"}))
    with pytest.raises(KnowledgeError, match="videopath knowledge build NEW_FOLDER OLD_FOLDER"):
        KnowledgeBase.open(old, words.WordEncoder())
    assert list(read_records(old)) == records


def test_a_knowledge_base_is_read_as_records(base: KnowledgeBase, words: ModuleType) -> None:
    base.remove(["r2"])
    base.add([words.some_records(1, 20)[0].model_copy(update={"patient": "P1", "provenance": {"case": "c"}})])
    assert list(read_records(base.folder)) == list(base)


def test_memory_stays_bounded_while_building(tmp_path: Path, words: ModuleType) -> None:
    """The records of a large import are never in memory all at once."""
    script = (
        "import resource, runpy, sys\n"
        f"words = runpy.run_path({str(words.__file__)!r})\n"
        "from videopath.knowledge import InstructionRecord as R, KnowledgeBase\n"
        "def records(count):\n"
        "    for n in range(count):\n"
        "        yield R(id=str(n), source=str(n), question='q', description=f'{n} ' + 'x' * 20000)\n"
        "encoder = words['WordEncoder']()\n"
        "KnowledgeBase.build(sys.argv[1] + '/a', records(300), encoder)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "KnowledgeBase.build(sys.argv[1] + '/b', records(1500), encoder)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 20_000  # KiB; the texts alone are 30 MB
