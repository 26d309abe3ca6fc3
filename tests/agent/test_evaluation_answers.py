"""Answers to a test set: read, asked once, resumed, measured, beside each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from videopath.agent.evaluation import answers
from videopath.agent.evaluation.answers import (
    Answer,
    Header,
    Item,
    answer_all,
    measured,
    read_answers,
    read_items,
    shared_metrics,
)
from videopath.agent.evaluation.ranking import Ranked
from videopath.app.cli import app
from videopath.core.errors import InputError

HEADER = Header(set="test.json", set_sha256="0" * 64, system="model", model="nano")


@pytest.fixture
def questions(tmp_path: Path, small_case: Path) -> Path:
    """Two questions in the published format; one of the videos cannot be read."""
    shutil.copy(small_case, tmp_path / "case.mp4")
    (tmp_path / "broken.mkv").write_bytes(b"no video")
    path = tmp_path / "test.json"
    path.write_text(
        json.dumps(
            [
                {"question": "What is the best diagnosis?", "answer": "Colon adenocarcinoma.", "video_name": "case",
                 "site": "colon", "diagnosis": "colon adenocarcinoma"},
                {"question": "What is seen?", "answer": "Glands.", "video_name": "broken", "diagnosis": "x"},
            ]
        )
    )  # fmt: skip
    return path


def test_the_published_format_names_videos_without_their_endings(questions: Path) -> None:
    first, second = read_items(questions, questions.parent)
    assert (first.id, first.video.name, first.site) == ("1", "case.mp4", "colon")
    assert second.video.name == "broken.mkv"


def test_conversations_are_a_set_too(questions: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A gland."}]
    path = questions.parent / "own.jsonl"
    path.write_text(json.dumps({"id": "a", "video": "case.mp4", "conversations": turns}))
    (item,) = read_items(path, questions.parent)
    assert (item.id, item.question, item.reference) == ("a", "What is it?", "A gland.")


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([], "no question"),
        ([3], "no JSON object"),
        ([{"question": "a", "answer": "b"}], "lacks"),
        ([{"question": "a", "answer": "b", "video_name": "gone"}], "not in"),
        ([{"id": "1", "question": "a", "answer": "b", "video_name": "case"}] * 2, "more than once"),
        ([{"question": 3, "answer": "b", "video_name": "case"}], "not usable"),
    ],
)
def test_a_wrong_set_is_refused_with_its_place(questions: Path, entries: list[object], word: str) -> None:
    questions.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=word):
        read_items(questions, questions.parent)


def test_what_was_answered_is_not_asked_again_and_what_failed_is(tmp_path: Path) -> None:
    items = [Item(id=str(n), video=Path(f"{n}.mp4"), question="?", reference="r") for n in range(3)]
    asked: list[str] = []

    def ask(item: Item) -> Answer:
        asked.append(item.id)
        if item.id == "1" and asked.count("1") == 1:
            raise InputError("cannot be read")
        return Answer(id=item.id, video=item.video.name, question="?", reference="r", text="t")

    out = tmp_path / "new" / "answers.jsonl"
    stream = answer_all(items, ask, HEADER, out)
    next(stream), next(stream)
    stream.close()
    assert [answer.error for answer in read_answers(out)[1]] == ["", "cannot be read"]
    found = list(answer_all(items, ask, HEADER, out))
    assert asked == ["0", "1", "1", "2"]
    assert [answer.text for answer in found] == ["t"] * 3
    assert len(read_answers(out)[1]) == 3
    with pytest.raises(InputError, match="choose another --out"):
        list(answer_all(items, ask, HEADER.model_copy(update={"model": "other"}), out))
    out.write_text("nonsense")
    with pytest.raises(InputError, match="no file of answers"):
        read_answers(out)


def test_values_are_those_of_their_definitions() -> None:
    def answer(name: str, text: str, **more: str) -> Answer:
        return Answer(
            id=name, video="v", question="?", reference="crowded irregular glands", text=text, **more
        )

    def encode(texts: list[str]) -> np.ndarray:
        return np.array([[1.0, 0.0] if "glands" in text else [0.6, -0.8] for text in texts])

    found = measured(
        [
            answer("same", "Crowded irregular glands", diagnosis="Adenocarcinoma.", truth="adenocarcinoma"),
            answer("half", "glands", diagnosis="carcinoid", truth="adenocarcinoma"),
            answer("none", "", error="unreadable", truth="adenocarcinoma"),
        ],
        encode,
    )
    assert found["same"].values == {"rouge_l": 1.0, "similarity": 1.0, "diagnosis": 1.0}
    assert found["half"].values["rouge_l"] == pytest.approx(0.5)
    assert found["half"].values["diagnosis"] == 0
    assert found["none"].values == {"rouge_l": 0.0, "similarity": 0.0, "diagnosis": 0.0}
    assert shared_metrics(found) == ["rouge_l", "similarity", "diagnosis"]
    assert shared_metrics(found, {"a": Ranked("v", {"rouge_l": 1.0})}) == ["rouge_l"]


@pytest.fixture
def videopath() -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_missing_package_is_told_before_anything_is_answered(
    questions: Path, tmp_path: Path, videopath: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "find_spec", lambda name: None)
    answer = videopath("evaluate", "answers", questions, "--out", tmp_path / "out")
    assert (answer.exit_code, "videopath-agent[benchmark]" in answer.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_agent_model_and_blind_stand_beside_each_other(
    questions: Path, tmp_path: Path, videopath: Callable[..., Result]
) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", "answers", questions, "--out", out]
    for system in ("agent", "blind", "model"):
        arguments += ["--system", system]
    answer = videopath(*arguments)
    assert answer.exit_code == 0, answer.stderr
    for words in (
        "agent of",
        "blind of",
        "model of",
        "2 answers, 1 without",
        "agent − blind",
        "agent − model",
    ):
        assert words in answer.stdout
    _, found = read_answers(out / "agent" / "answers.jsonl")
    assert "Diagnosis: " in found[0].text
    assert found[0].confidence is not None
    assert "broken.mkv" in found[1].error
    document = json.loads(videopath(*arguments, "--json").stdout)
    assert document["systems"]["agent"]["figures"]["diagnosis"]["questions"] == 2
    assert set(document["systems"]["model"]["figures"]) == {"rouge_l", "similarity", "diagnosis"}
    assert [(row["system"], row["less"]) for row in document["differences"]] == [
        ("agent", "blind"),
        ("agent", "model"),
    ]
