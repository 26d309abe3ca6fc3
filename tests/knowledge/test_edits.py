"""Edits of records: what stays, what the history says, and what a failure leaves."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

from videopath.core.errors import KnowledgeError
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media, Query

RED = InstructionRecord(
    id="red",
    source="red.mp4",
    question="q",
    description="keratin pearls",
    diagnosis="squamous cell carcinoma",
    media=(Media(path="red-1.png"), Media(path="red-2.png")),
)
BLUE = RED.model_copy(update={"id": "blue", "source": "blue.mp4", "media": (Media(path="blue-3.png"),)})


@pytest.fixture
def base(tmp_path: Path, words: ModuleType) -> KnowledgeBase:
    return KnowledgeBase.build(
        tmp_path / "kb", [RED, BLUE], words.WordEncoder(256), viewer=words.NamedViewer()
    )


def test_an_edit_changes_the_text_and_keeps_the_pictures_and_the_record_before(
    base: KnowledgeBase, words: ModuleType
) -> None:
    picture = Query(image=words.NamedViewer().vector("red"))
    score = base.find(picture, 1).hits[0].score
    prints = base._opened.store.fingerprints()[1]
    after = base.edit(
        RED, {"diagnosis": "keratoacanthoma", "description": "a crater"}, by=" Dr Ash ", note="seen again"
    )
    assert base.edit(after, {"site": "skin"}, by="Dr Elm").site == "skin"
    again = KnowledgeBase.open(base.folder, words.WordEncoder(256))
    assert again.get("red").diagnosis == "keratoacanthoma"
    assert again.search("crater", 1)[0].record.id == "red"
    assert again.find(picture, 1).hits[0].record.id == "red"
    assert again.find(picture, 1).hits[0].score == pytest.approx(score)
    assert sorted(map(bytes, again._opened.store.fingerprints()[1])) == sorted(map(bytes, prints))
    first, second = again.history("red")
    assert (first.version, first.by, first.note, first.before, first.after) == (
        2,
        "Dr Ash",
        "seen again",
        RED,
        after,
    )
    assert first.changes == [
        ("diagnosis", "squamous cell carcinoma", "keratoacanthoma"),
        ("description", "keratin pearls", "a crater"),
    ]
    assert second.changes == [("site", "", "skin")]
    assert first.when <= second.when
    assert again.history("blue") == []
    assert [change.note for change in again.changes()] == [
        "",
        "edited by Dr Ash: seen again",
        "edited by Dr Elm",
    ]
    again.merge()
    assert again.verify() == []
    assert len(again.history("red")) == 2
    assert again.find(picture, 1).hits[0].score == pytest.approx(score)


def test_the_history_of_a_removed_record_is_removed(base: KnowledgeBase) -> None:
    base.edit(RED, {"diagnosis": "keratoacanthoma"}, by="Dr Ash")
    base.remove(["red"])
    assert base.history("red") == []
    assert base.verify() == []


def test_an_edit_without_a_change_makes_no_version(base: KnowledgeBase) -> None:
    assert base.edit(RED, {"diagnosis": RED.diagnosis}, by="Dr Ash") == RED
    assert base.info().version == 1


@pytest.mark.parametrize(
    ("changes", "by", "said"),
    [
        ({"diagnosis": "x"}, "  ", "needs the name"),
        ({"id": "other"}, "Dr Ash", "'id' of a record cannot be edited"),
        ({"diagnosis": "", "description": ""}, "Dr Ash", "neither a description nor a diagnosis"),
        ({"source": ""}, "Dr Ash", "source is empty"),
    ],
)
def test_an_edit_that_is_not_valid_is_rejected(
    base: KnowledgeBase, changes: dict[str, str], by: str, said: str
) -> None:
    with pytest.raises(KnowledgeError, match=said):
        base.edit(RED, changes, by=by)
    assert base.get("red") == RED


def test_the_second_of_two_people_is_told(base: KnowledgeBase, words: ModuleType) -> None:
    other = KnowledgeBase.open(base.folder, words.WordEncoder(256))
    base.edit(RED, {"diagnosis": "keratoacanthoma"}, by="Dr Ash")
    with pytest.raises(KnowledgeError, match="changed by somebody else"):
        other.edit(RED, {"diagnosis": "wart"}, by="Dr Elm")
    base.remove(["red"])
    with pytest.raises(KnowledgeError, match="changed by somebody else"):
        other.edit(RED, {"diagnosis": "wart"}, by="Dr Elm")


def test_an_edit_that_fails_leaves_the_record(
    base: KnowledgeBase, words: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in base.folder.iterdir()}
    sync = os.fsync
    for whole in range(3):  # files that are written before the disk is full
        left = [whole]

        def full(handle: int, left: list[int] = left) -> None:
            if not left[0]:
                raise OSError(28, "No space left on device")
            left[0] -= 1
            sync(handle)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(KnowledgeError, match="No space left on device"):
            base.edit(RED, {"diagnosis": "keratoacanthoma"}, by="Dr Ash")
        assert {path.name: path.read_bytes() for path in base.folder.iterdir()} == before
    monkeypatch.undo()
    assert KnowledgeBase.open(base.folder, words.WordEncoder(256)).history("red") == []


def test_the_starter_cannot_be_edited() -> None:
    starter = KnowledgeBase.starter()
    record = next(iter(starter))
    with pytest.raises(KnowledgeError, match="cannot be changed"):
        starter.edit(record, {"diagnosis": "x"}, by="Dr Ash")
    assert starter.history(record.id) == []


def test_records_are_read_by_pages_and_filters(base: KnowledgeBase) -> None:
    base.edit(BLUE, {"site": "skin", "diagnosis": "wart"}, by="Dr Ash")
    assert [r.id for r in base.page(0, 1)[1]] == ["red"]
    total, records = base.page(1, 5)
    assert (total, [r.id for r in records]) == (2, ["blue"])
    assert [r.id for r in base.page(0, 5, site="skin")[1]] == ["blue"]
    assert [r.id for r in base.page(0, 5, site="")[1]] == ["red"]
    assert base.page(0, 5, site="skin", diagnosis=RED.diagnosis) == (0, [])
