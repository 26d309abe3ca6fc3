"""The knowledge base: search, addition, damage, kills, readers beside a writer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge import (
    STARTER_FOLDER,
    InstructionRecord,
    KnowledgeBase,
    Query,
    ViewWeights,
    read_records,
    verify_folder,
)
from videopath.knowledge.storage.manifest import read_manifest

BY_TEXT = ViewWeights(text=1, image=0, lexical=0)


@pytest.fixture
def base(tmp_path: Path, words: ModuleType) -> KnowledgeBase:
    return KnowledgeBase.build(tmp_path / "base", words.some_records(40), words.WordEncoder())


@pytest.fixture(scope="module")
def shared_base(tmp_path_factory: pytest.TempPathFactory, words: ModuleType) -> KnowledgeBase:
    return KnowledgeBase.build(
        tmp_path_factory.mktemp("kb") / "base", words.some_records(40), words.WordEncoder()
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def data(folder: Path) -> dict[str, bytes]:
    """The contents without the manifest, which tells the time."""
    return {name: content for name, content in contents(folder).items() if name != "manifest.json"}


def only_named_files(folder: Path) -> bool:
    named = {"manifest.json", *(file.name for file in read_manifest(folder).files)}
    return {path.name for path in folder.iterdir()} == named


def ids_and_scores(base: KnowledgeBase, text: str, k: int = 60) -> list[tuple[str, float]]:
    return [(hit.record.id, round(hit.score, 5)) for hit in base.find(Query(text), k, BY_TEXT).hits]


def test_build_and_open_hold_the_records(base: KnowledgeBase, words: ModuleType) -> None:
    opened = KnowledgeBase.open(base.folder, words.WordEncoder())
    assert len(opened) == 40
    assert list(opened) == words.some_records(40)
    assert opened.get("r7") == words.some_records(8)[7]
    assert opened.verify() == []
    info = opened.info()
    assert (info.records, info.sources, info.diagnosed) == (40, 40, 40)
    assert info.sites == {"colon": 20, "lung": 20}
    assert info.diagnoses == {f"entity {number}": 8 for number in range(5)}
    with pytest.raises(KnowledgeError, match="no record 'r99'"):
        opened.get("r99")


def test_equal_records_give_equal_files(base: KnowledgeBase, tmp_path: Path, words: ModuleType) -> None:
    again = KnowledgeBase.build(tmp_path / "again", words.some_records(40), words.WordEncoder())
    assert data(again.folder) == data(base.folder)
    assert again.info().data_sha256 == base.info().data_sha256


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, 39),
    k=st.integers(1, 60),
    site=st.sampled_from([None, "colon", "large bowel", "lung"]),
    exclude=st.sampled_from([(), "videos/v3.mp4", Path("videos/v3.mp4"), ["/data/videos/v4.mov", "v5"]]),
)
def test_search_is_the_exact_ranking(shared_base, words, number, k, site, exclude) -> None:
    records = words.some_records(40)
    query = records[number].description
    names = (exclude,) if isinstance(exclude, str | Path) else exclude
    asked = Query(query, site=site, exclude=tuple(map(str, names)))
    found = shared_base.find(asked, k, BY_TEXT)
    hits = found.hits
    assert found.views == ["text"]
    gone = (
        {"videos/v3.mp4"}
        if str(exclude) == "videos/v3.mp4"
        else {"videos/v4.mp4", "videos/v5.mp4"}
        if exclude
        else set()
    )
    wanted = {None: {"colon", "lung"}, "large bowel": {"colon"}}.get(site, {site})
    allowed = [record for record in records if record.source not in gone and record.site in wanted]
    assert [hit.rank for hit in hits] == list(range(1, min(k, len(allowed)) + 1))
    assert {hit.record.id for hit in hits} <= {record.id for record in allowed}
    vectors = words.WordEncoder().encode([query, *(record.description for record in allowed)])
    expected = np.sort(vectors[1:] @ vectors[0])[::-1][:k]
    assert np.allclose([hit.score for hit in hits], expected, atol=1e-5)
    assert all(-1 <= hit.score <= 1 for hit in hits)
    assert all(hit.ranks == {"text": hit.rank} for hit in hits)
    assert {e.source for e in found.excluded} == gone
    assert {e.reason for e in found.excluded} <= {"source"}
    again = shared_base.search(query, k, site=site, exclude_source=exclude or None)
    assert {hit.record.source for hit in again} <= {record.source for record in allowed}
    assert len(again) == len(hits)


def test_search_can_ask_for_diagnosed_records_only(tmp_path: Path, words: ModuleType) -> None:
    plain = InstructionRecord(
        id="plain", source="p", question="Necrosis?", description="Glands with necrosis."
    )
    base = KnowledgeBase.build(tmp_path / "kb", [plain, *words.some_records(3)], words.WordEncoder())
    assert base.search(plain.description, 1)[0].record == plain
    assert "plain" not in {hit.record.id for hit in base.search(plain.description, 9, diagnosed=True)}
    assert base.search("x", site="skin") == []
    assert base.info().diagnosed == 3


@pytest.mark.parametrize(
    ("query", "fields"), [("", {}), (" \n", {}), ("x\udce9", {}), ("x", {"k": 0}), ("x", {"site": "moon"})]
)
def test_wrong_searches_are_refused(shared_base: KnowledgeBase, query: str, fields: dict) -> None:
    with pytest.raises(InputError):
        shared_base.search(query, **fields)


def test_add_is_the_same_as_building_at_once(base: KnowledgeBase, tmp_path: Path, words: ModuleType) -> None:
    assert base.add(words.some_records(5, start=40)) == 5
    assert base.add([]) == 0
    at_once = KnowledgeBase.build(tmp_path / "once", words.some_records(45), words.WordEncoder())
    assert base.info().data_sha256 == at_once.info().data_sha256
    assert list(base) == list(at_once)
    assert ids_and_scores(base, "Glands with mucin") == ids_and_scores(at_once, "Glands with mucin")
    assert np.array_equal(base.vectors(), at_once.vectors())
    assert base.verify() == []
    assert len(base) == 45
    assert base.search(words.some_records(1, 44)[0].description, 1)[0].record.id == "r44"


def test_a_repeated_id_changes_nothing(base: KnowledgeBase, tmp_path: Path, words: ModuleType) -> None:
    before = contents(base.folder)
    with pytest.raises(KnowledgeError, match="'r3' occurs twice"):
        base.add([*words.some_records(1, 50), *words.some_records(1, 3)])
    assert contents(base.folder) == before
    with pytest.raises(KnowledgeError, match="'r0' occurs twice"):
        KnowledgeBase.build(tmp_path / "new", words.some_records(1) * 2, words.WordEncoder())
    with pytest.raises(KnowledgeError, match="no records"):
        KnowledgeBase.build(tmp_path / "new", [], words.WordEncoder())
    assert not (tmp_path / "new").exists()
    assert only_named_files(base.folder)


def test_removal_leaves_what_building_without_would_give(
    base: KnowledgeBase, tmp_path: Path, words: ModuleType
) -> None:
    records = words.some_records(40)
    assert base.remove(["r3", "r7", "r3"]) == 2
    left = [record for record in records if record.id not in ("r3", "r7")]
    rebuilt = KnowledgeBase.build(tmp_path / "rebuilt", left, words.WordEncoder())
    assert base.info().data_sha256 == rebuilt.info().data_sha256
    assert ids_and_scores(base, "Glands with mucin") == ids_and_scores(rebuilt, "Glands with mucin")
    assert np.array_equal(base.vectors(), rebuilt.vectors())
    assert base.verify() == []
    assert list(base) == list(KnowledgeBase.open(base.folder, words.WordEncoder())) == left
    assert "r3" not in [hit.record.id for hit in base.search(records[3].text, k=38)]
    assert base.remove([]) == 0


def test_a_removal_that_cannot_be_changes_nothing(base: KnowledgeBase, words: ModuleType) -> None:
    before = contents(base.folder)
    with pytest.raises(KnowledgeError, match="no record 'absent'"):
        base.remove(["r1", "absent"])
    with pytest.raises(KnowledgeError, match="delete its folder"):
        base.remove([record.id for record in words.some_records(40)])
    assert contents(base.folder) == before
    with pytest.raises(KnowledgeError, match="starter"):
        KnowledgeBase.starter().remove(["x"])
    opened = KnowledgeBase.open(STARTER_FOLDER)
    with pytest.raises(KnowledgeError, match="starter"):
        opened.add(words.some_records(1))
    assert opened.fixed
    assert not base.fixed


def test_an_addition_by_another_process_is_not_lost(base: KnowledgeBase, words: ModuleType) -> None:
    other = KnowledgeBase.open(base.folder, words.WordEncoder())
    other.add(words.some_records(2, 40))
    base.add(words.some_records(2, 42))
    assert len(base) == 44
    assert len(other) == 42
    assert other.search("Glands of pattern 3", 3)  # an older view stays usable
    assert len(KnowledgeBase.open(base.folder, words.WordEncoder())) == 44


def test_an_index_of_another_embedder_is_refused(base: KnowledgeBase, words: ModuleType) -> None:
    for embedder in (words.WordEncoder(32), None, "all-MiniLM-L6-v2"):
        with pytest.raises(KnowledgeError, match="words-64"):
            KnowledgeBase.open(base.folder, embedder)


def test_every_damaged_byte_is_found(base: KnowledgeBase, words: ModuleType) -> None:
    generator = np.random.default_rng(0)
    for path in sorted(base.folder.iterdir()):
        whole = path.read_bytes()
        for place in [0, len(whole) - 1, *generator.integers(0, len(whole), 25).tolist()]:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << int(generator.integers(8))
            path.write_bytes(damaged)
            assert base.verify(), (path.name, place)
            with pytest.raises(KnowledgeError) as caught:
                KnowledgeBase.open(base.folder, words.WordEncoder())
            assert "\n" not in str(caught.value)
        path.write_bytes(whole)
    assert base.verify() == []


@pytest.mark.parametrize("cut", ["missing", "empty", "short"])
def test_missing_and_cut_files_are_found(base: KnowledgeBase, words: ModuleType, cut: str) -> None:
    for path in sorted(base.folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(b"" if cut == "empty" else whole[:-7])
        if cut == "missing":
            path.unlink()
        assert len(verify_folder(base.folder)) == 1
        with pytest.raises(KnowledgeError, match=f"{path.name}|no knowledge base"):
            KnowledgeBase.open(base.folder, words.WordEncoder())
        path.write_bytes(whole)


def test_what_is_not_a_knowledge_base_is_refused(tmp_path: Path, words: ModuleType) -> None:
    (tmp_path / "file").write_text("text")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(KnowledgeError, match="holds no knowledge base"):
            KnowledgeBase.open(path)
        assert verify_folder(path)
    with pytest.raises(KnowledgeError, match="cannot be written"):
        KnowledgeBase.build(tmp_path / "file" / "kb", words.some_records(2), words.WordEncoder())


def test_a_failed_build_leaves_the_old_one(base: KnowledgeBase, words: ModuleType, monkeypatch) -> None:
    before = contents(base.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KnowledgeError, match="No space left on device"):
        KnowledgeBase.build(base.folder, words.some_records(9), words.WordEncoder())
    assert contents(base.folder) == before


def test_a_kill_leaves_a_whole_knowledge_base(tmp_path: Path, words: ModuleType) -> None:
    folder = tmp_path / "kb"
    generator = np.random.default_rng(1)
    for _ in range(6):
        command = [sys.executable, str(words.__file__), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            assert writer.stdout.readline() == "built\n"
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(float(generator.uniform(0, 0.1)))
            writer.send_signal(signal.SIGKILL)
        assert verify_folder(folder) == []
        found = KnowledgeBase.open(folder, words.WordEncoder())
        assert len(found) in (60, 80, 100, 120)
        assert list(found) == words.some_records(len(found))
    found.add(words.some_records(1, 500))
    KnowledgeBase.build(folder, found, words.WordEncoder())
    assert only_named_files(folder)  # what the kills left behind is cleared


def test_a_kill_while_embedding_leaves_no_knowledge_base(tmp_path: Path, words: ModuleType) -> None:
    script = (
        "import sys, os, signal\n"
        "from videopath.knowledge import KnowledgeBase, Embedder\n"
        "from videopath.knowledge import InstructionRecord as R\n"
        "class Killed(Embedder):\n"
        "    def encode(self, texts, progress=None): os.kill(os.getpid(), signal.SIGKILL)\n"
        "KnowledgeBase.build(sys.argv[1], [R(id='a', source='a', question='q', description='d')], Killed())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "kb")], check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(KnowledgeError, match="holds no knowledge base"):
        KnowledgeBase.open(tmp_path / "kb")
    assert len(KnowledgeBase.build(tmp_path / "kb", words.some_records(2), words.WordEncoder())) == 2
    assert only_named_files(tmp_path / "kb")


def test_readers_beside_a_writer_always_see_a_whole_one(base: KnowledgeBase, words: ModuleType) -> None:
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                found = KnowledgeBase.open(base.folder, words.WordEncoder())
                found.search("Glands with mucin", 5, site="colon")
                problems.extend(verify_folder(base.folder))
            except KnowledgeError as error:
                problems.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for start in range(40, 60):
        base.add(words.some_records(1, start))
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []


def test_all_real_records_build_and_are_found(tmp_path: Path, words: ModuleType, wsi_bench: Path) -> None:
    records = list(read_records(wsi_bench, licence="Apache-2.0"))
    base = KnowledgeBase.build(tmp_path / "kb", records, words.WordEncoder(256))
    assert len(base) == 3218
    assert base.verify() == []
    for record in records[::300]:
        hits = base.search(record.text, 50, exclude_source=record.source)
        assert len(hits) == 50
        assert record.source[:12] not in {hit.record.source[:12] for hit in hits}  # the patient


def test_a_read_only_copy_opens(base: KnowledgeBase, tmp_path: Path, words: ModuleType) -> None:
    copy = tmp_path / "with space and ? and # and %41"
    shutil.copytree(base.folder, copy)
    for path in [*copy.iterdir(), copy]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = contents(copy)
        found = KnowledgeBase.open(copy, words.WordEncoder())
        assert len(found.search("Glands with mucin", 3, exclude_source="v1")) == 3
        assert contents(copy) == before
        if os.geteuid():
            with pytest.raises(KnowledgeError, match="cannot be written"):
                found.add(words.some_records(1, 99))
    finally:
        copy.chmod(0o755)
