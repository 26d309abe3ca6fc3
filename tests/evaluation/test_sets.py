"""Test sets: the published format, conversations, ours; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videopath.core.errors import InputError
from videopath.evaluation.testsets.sets import read_items


@pytest.fixture
def media(tmp_path: Path) -> Path:
    for name in ("case.mp4", "other.mkv"):
        (tmp_path / name).write_bytes(b"not looked at yet")
    return tmp_path


def _written(media: Path, *entries: object) -> Path:
    path = media / "test.json"
    path.write_text(json.dumps(entries))
    return path


def test_the_published_format_names_videos_without_their_endings(media: Path) -> None:
    path = _written(
        media,
        {"question": "What?", "answer": "That.", "video_name": "case"},
        {"question": "What?", "answer": "That.", "video_name": "other"},
    )
    first, second = read_items(path, media)
    assert (first.id, first.video.name, first.site, first.diagnosis) == ("1", "case.mp4", None, None)
    assert (second.video.name, second.cluster) == ("other.mkv", "other.mkv")


def test_conversations_are_a_set_too(media: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A gland."}]
    path = media / "own.jsonl"
    path.write_text(json.dumps({"id": 0, "video": "case.mp4", "conversations": turns}))
    (item,) = read_items(path, media)
    assert (item.id, item.question, item.reference) == ("0", "What is it?", "A gland.")


def test_our_own_format_says_more(media: Path) -> None:
    entry = {"id": "a", "question": "What?", "answer": "That.\u2028Really.", "video_name": "case", "site": "Large bowel",
             "diagnosis": "colon adenocarcinoma", "group": 17, "paraphrase": "Which?",
             "attributes": {"cellularity": "rich in cells", "grade": "high"}}  # fmt: skip
    path = media / "own.jsonl"
    path.write_text(json.dumps(entry, ensure_ascii=False) + "\n", encoding="utf-8")
    (item,) = read_items(path, media)
    assert (item.site, item.group, item.cluster, item.paraphrase) == ("colon", "17", "17", "Which?")
    assert item.attributes == {"cellularity": "rich in cells", "grade": "high"}
    assert item.reference == "That.\u2028Really."


_WHOLE = {"question": "a", "answer": "b", "video_name": "case"}


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([], "no question"),
        ([3], "Question 1 of test.json is not a JSON object"),
        ([{"question": "a", "answer": "b"}], "lacks"),
        ([_WHOLE, {**_WHOLE, "video_name": "gone"}], "Question 2 .* not in"),
        ([{**_WHOLE, "id": "1"}] * 2, "more than once"),
        ([{**_WHOLE, "question": 3}], "not usable: question"),
        ([{**_WHOLE, "site": "colom"}], "Question 1 .*'colon'"),
        ([{**_WHOLE, "attributes": ["dark"]}], "not an object of attribute and word"),
        ([{**_WHOLE, "attributes": {"stain": "blue"}}], "Use a word of its levels, such as pale staining"),
        ([{**_WHOLE, "attributes": {"grade": 3}}], "not usable: attributes.grade"),
    ],
)
def test_a_wrong_set_is_refused_with_its_place(media: Path, entries: list[object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        read_items(_written(media, *entries), media)


def test_half_a_file_is_refused(media: Path) -> None:
    path = media / "half.jsonl"
    path.write_text('{"question": "a", "ans')
    with pytest.raises(InputError, match="not whole JSON"):
        read_items(path, media)
