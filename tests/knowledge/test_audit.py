"""Overlaps of a test set with a knowledge base: ids, sources, texts, nearly the same texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from videopath.core.errors import InputError
from videopath.knowledge import InstructionRecord, KnowledgeBase, read_records, write_records
from videopath.knowledge.audit import Overlap, audit, records_of


def record(id: str, source: str = "", description: str = "", **fields: str) -> InstructionRecord:  # noqa: A002
    return InstructionRecord(
        id=id,
        source=source or f"source of {id}",
        question="What is the best diagnosis for this tissue?",
        description=description or f"Alone stands {id}",
        **fields,
    )


@pytest.fixture
def base(tmp_path: Path, words: Any) -> KnowledgeBase:
    records = [
        record(
            "k1", "videos/vidrip_d0WDjz9JBiU_c00003.mp4", "Crowded glands fused back to back with necrosis."
        ),
        record("k2", "TCGA-21-1083-01Z-00-DX1.8288ca92", "Nests of small cells with nuclear moulding."),
        record("k3", "TCGA-21-1083-01Z-00-DX2", "Keratin pearls in a fibrous stroma of the lung."),
        record("k4", "videos/001.mp4", "–", diagnosis="carcinoma"),
    ]
    return KnowledgeBase.build(tmp_path / "base", records, words.WordEncoder(512))


def reasons(found: list[Overlap]) -> list[tuple[str, str, str, int]]:
    return [(overlap.reason, overlap.test, overlap.base, overlap.records) for overlap in found]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (record("t1"), []),
        (record("k2"), [("id", "k2", "k2", 1)]),
        (record("t1", "/data/d0wdjz9jbiu_clip7.mov"), [("source", "t1", "k1", 1)]),
        (record("t1", "TCGA-LUSC/TCGA-21-1083-11A.svs"), [("source", "t1", "k2", 2)]),
        (record("t1", "TCGA-21-1084-01Z-00-DX1"), []),
        (record("t1", "other/001.mp4"), []),
        (
            record("t1", description="nests of SMALL cells,\nwith nuclear  moulding"),
            [("text", "t1", "k2", 1)],
        ),
        (
            record("t1", description="Nests of small cells with nuclear moulding here."),
            [("near text", "t1", "k2", 1)],
        ),
        (record("t1", description="…"), []),
        (
            InstructionRecord(id="t1", source="s", question="q", diagnosis="nests of small cells"),
            [],
        ),
    ],
)
def test_each_reason_is_found_and_nothing_else(
    base: KnowledgeBase, test: InstructionRecord, expected: list[tuple[str, str, str, int]]
) -> None:
    assert reasons(audit([record("t0"), test], base, near=0.9)) == expected


def test_what_is_shared_is_shown(base: KnowledgeBase) -> None:
    (found,) = audit(
        [record("t1", description="Nests of small cells with nuclear moulding here.")], base, 0.9
    )
    assert found.shared == "Nests of small cells with nuclear moulding."
    assert found.similarity is not None
    assert 0.9 <= found.similarity < 1
    assert (
        audit([record("t1", description="Nests of small cells with nuclear moulding here.")], base, 1) == []
    )


def test_a_knowledge_base_overlaps_with_itself_for_every_reason_but_near(base: KnowledgeBase) -> None:
    found = audit(base, base)
    assert [overlap.test for overlap in found if overlap.reason == "id"] == ["k1", "k2", "k3", "k4"]
    assert [overlap.test for overlap in found if overlap.reason == "source"] == ["k1", "k2", "k3", "k4"]
    assert [overlap.test for overlap in found if overlap.reason == "text"] == ["k1", "k2", "k3"]
    assert [overlap.test for overlap in found] == sorted(overlap.test for overlap in found)


def test_nothing_overlaps_with_an_empty_test_set(base: KnowledgeBase) -> None:
    assert audit([], base) == []


@pytest.mark.parametrize("near", [0, -1, 1.1, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(base: KnowledgeBase, near: float) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        audit([record("t1")], base, near)


def test_large_sets_are_compared_in_blocks(
    tmp_path: Path, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = words.some_records(60)
    base = KnowledgeBase.build(tmp_path / "base", records[:40], words.WordEncoder())
    whole = audit(records[30:], base, near=0.9)
    monkeypatch.setattr("videopath.knowledge.audit._BLOCK", 100)
    assert audit(records[30:], base, near=0.9) == whole
    assert {overlap.test for overlap in whole if overlap.reason == "id"} == {f"r{n}" for n in range(30, 40)}


def test_halves_of_the_starter(tmp_path: Path) -> None:
    """The starter without its other half: exactly the half that was kept is found, by id, source and text."""
    whole = list(KnowledgeBase.starter())
    kept = whole[::8]
    half = KnowledgeBase.build(tmp_path / "half", kept)
    found = audit(kept + whole[1::8], half)
    assert {overlap.test for overlap in found} == {one.id for one in kept}
    assert {overlap.reason for overlap in found} == {"id", "source", "text"}


def test_slides_of_the_same_patients_are_found(tmp_path: Path, wsi_bench: Path, words: Any) -> None:
    records = list(read_records(wsi_bench))
    base = KnowledgeBase.build(tmp_path / "base", records[::2], words.WordEncoder())
    found = {o.test for o in audit(records[1::2], base, near=1) if o.reason == "source"}
    patients = {one.source[:12].upper() for one in records[::2]}
    assert found == {one.id for one in records[1::2] if one.source[:12].upper() in patients}
    assert len(found) > 1000


def test_a_test_set_is_a_file_or_a_knowledge_base(tmp_path: Path, base: KnowledgeBase) -> None:
    write_records(tmp_path / "records.jsonl", base)
    assert list(records_of(tmp_path / "records.jsonl")) == list(base)
    starter = KnowledgeBase.starter()
    assert len(list(records_of(starter.folder))) == len(starter)
