"""Answers to a test set: asked once, resumed after a kill, and all systems beside each other."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from videopath.app.cli.main import app
from videopath.core import installing
from videopath.core.errors import InputError
from videopath.evaluation.testsets.answers import (
    Answer,
    Header,
    answer_all,
    asking,
    asking_several,
    one_by_one,
    read_answers,
)
from videopath.evaluation.testsets.sets import Item, read_items
from videopath.evaluation.testsets.summary import list_set_reports, read_set_report
from videopath.media.synthetic import ENTITIES, render_slide
from videopath.model.prompts.questions import describe_question, one_prompt_question

HEADER = Header(set="test.json", set_sha256="0" * 64, system="model", model="nano", weights_sha256="1" * 64)
Videopath = Callable[..., Result]


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn clips, and a video that cannot be read."""
    folder = tmp_path_factory.mktemp("set")
    entries: list[dict[str, Any]] = []
    for seed, (entity, site) in enumerate(list(ENTITIES.items())[:2]):
        clip = folder / f"clip{seed}"
        clip.mkdir()
        for number in range(2):
            Image.fromarray(render_slide(entity, seed, 224, 224)).save(clip / f"{number}.png")
        entries.append(
            {"id": entity, "question": one_prompt_question(site), "answer": f"Glands.\nDiagnosis: {entity}", "video_name": clip.name,
             "site": site, "diagnosis": entity, "group": f"patient {seed}", "attributes": {"crowding": "crowded nuclei"}}
        )  # fmt: skip
    (folder / "broken.mkv").write_bytes(b"no video")
    entries.append({**entries[0], "id": "broken", "video_name": "broken", "group": "patient 9"})
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


@pytest.fixture
def videopath() -> Videopath:
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def _items(count: int) -> list[Item]:
    return [Item(id=str(n), video=Path(f"{n}.mp4"), question="?", reference="r") for n in range(count)]


def _answer(item: Item) -> Answer:
    return Answer(id=item.id, video=item.video.name, question="?", reference="r", text="two\u2028lines")


def test_what_was_answered_is_not_asked_again_and_what_failed_is(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(item: Item) -> Answer:
        asked.append(item.id)
        if item.id == "1" and asked.count("1") == 1:
            raise InputError("cannot be read")
        return _answer(item)

    out = tmp_path / "new" / "answers.jsonl"
    stream = answer_all(_items(3), one_by_one(ask), HEADER, out)
    next(stream), next(stream)
    stream.close()
    assert [answer.error for answer in read_answers(out)[1]] == ["", "cannot be read"]
    found = list(answer_all(_items(3), one_by_one(ask), HEADER, out))
    assert asked == ["0", "1", "1", "2"]
    assert [answer.text for answer in found] == ["two\u2028lines"] * 3
    assert len(read_answers(out)[1]) == 3


def test_a_line_that_a_kill_cut_is_asked_again(tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    list(answer_all(_items(3), one_by_one(_answer), HEADER, out))
    out.write_text(out.read_text()[:-20])
    asked: list[str] = []
    found = list(
        answer_all(_items(3), one_by_one(lambda item: asked.append(item.id) or _answer(item)), HEADER, out)
    )
    assert (asked, len(found), len(read_answers(out)[1])) == (["2"], 3, 3)


@pytest.mark.parametrize(
    "other", [{"model": "x"}, {"weights_sha256": "2" * 64}, {"control": "blank"}, {"knowledge": "3" * 64}]
)
def test_answers_of_another_run_are_not_mixed_in(tmp_path: Path, other: dict[str, str]) -> None:
    out = tmp_path / "answers.jsonl"
    list(answer_all(_items(1), one_by_one(_answer), HEADER, out))
    before = out.read_text()
    with pytest.raises(InputError, match=f"{next(iter(other))} differs.*Choose another --out"):
        list(answer_all(_items(1), one_by_one(_answer), HEADER.model_copy(update=other), out))
    assert out.read_text() == before
    out.write_text("nonsense\n")
    with pytest.raises(InputError, match="not a file of answers"):
        list(answer_all(_items(1), one_by_one(_answer), HEADER, out))


@pytest.mark.parametrize(
    ("text", "diagnosis", "said"),
    [
        ("Glands.", "Colorectal adenocarcinoma", "colon adenocarcinoma"),
        ("Glands and more.\nDiagnosis: colonic adenocarcinoma.", "", "colon adenocarcinoma"),
        ("Warty dyskeratoma of the tongue.", "", "warty dyskeratoma of tongue"),
        ("Glands.\nNothing that could be named here.", "", ""),
        ("", "", ""),
    ],
)
def test_what_an_answer_says(text: str, diagnosis: str, said: str) -> None:
    answer = _answer(_items(1)[0]).model_copy(
        update={"text": text, "diagnosis": diagnosis, "truth": said or "x"}
    )
    assert (answer.said, answer.right) == (said, bool(said))
    assert not answer.model_copy(update={"truth": None}).right


def test_the_models_confidence_is_what_it_gives_its_own_diagnosis(
    questions: Path, nano_engine: Any, tmp_path: Path
) -> None:
    item = read_items(questions, questions.parent)[0]
    with asking("model", nano_engine, None, tmp_path) as ask:
        answer = ask(item)
        with nano_engine.open(_clip(item, nano_engine)) as session:
            (score,) = session.score(
                item.question,
                [f" {answer.diagnosis}"],
                answer_start=f"{answer.description}\nDiagnosis:",
                reduce="sum",
            )
            bare = session.generate(describe_question(None), max_new_tokens=1024)
        assert answer.diagnosis
        assert answer.confidence == pytest.approx(math.exp(score))
        plain = ask(item.model_copy(update={"question": describe_question(None)}))
    assert (plain.diagnosis, plain.description) == ("", plain.text)
    mean = sum(bare.logprobs) / len(bare.logprobs)
    assert plain.confidence == pytest.approx(math.exp(mean), rel=1e-3)


def test_questions_that_the_model_answers_side_by_side_get_the_same_answers(
    questions: Path, nano_engine: Any, tmp_path: Path
) -> None:
    items = read_items(questions, questions.parent)[:3]
    gone = items[1].model_copy(update={"id": "gone", "video": tmp_path / "gone.mp4"})
    with asking_several("model", nano_engine, None, tmp_path, batch=4) as ask:
        together = ask([*items, gone])
    with asking_several("model", nano_engine, None, tmp_path, batch=1) as ask:
        alone = ask([*items, gone])
    assert [answer.id for answer in together] == [*(item.id for item in items), "gone"]
    assert "gone.mp4" in together[-1].error
    for one, other in zip(together, alone, strict=True):
        assert (one.confidence or 0.0) == pytest.approx(other.confidence or 0.0, rel=1e-3)
        unmeasured = {"seconds": 0.0, "confidence": None}
        assert one.model_copy(update=unmeasured) == other.model_copy(update=unmeasured)


def test_a_question_that_is_too_long_costs_no_other_its_answer(
    questions: Path, nano_engine: Any, tmp_path: Path
) -> None:
    item = read_items(questions, questions.parent)[0]
    long = item.model_copy(update={"id": "long", "question": "glands and stroma " * 4000})
    with asking_several("model", nano_engine, None, tmp_path, batch=4) as ask:
        found = ask([item, long])
    assert found[0].text
    assert (found[0].error, found[1].text) == ("", "")
    assert "Shorten" in found[1].error


@pytest.mark.parametrize("times", [1, 4])
def test_where_memory_is_too_small_for_several_they_are_asked_one_by_one_with_all_frames(
    questions: Path, nano_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    import torch

    from videopath.model.inference import session
    from videopath.model.inference.prefix import Prefix

    items = read_items(questions, questions.parent)[:2]
    with asking_several("model", nano_engine, None, tmp_path, batch=1) as ask:
        alone = ask(items)
    usual, left = Prefix.ask, [times]

    def scarce(self: Prefix, *arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError
        return usual(self, *arguments)

    def generating(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(Prefix, "ask", scarce)
        try:
            return together(*arguments, **named)
        finally:
            monkeypatch.setattr(Prefix, "ask", usual)

    together = session.answer_together
    monkeypatch.setattr(session, "answer_together", generating)
    with asking_several("model", nano_engine, None, tmp_path, batch=4) as ask:
        found = ask(items)
    assert left == [0]
    assert [(answer.text, answer.error) for answer in found] == [(answer.text, "") for answer in alone]


def test_answers_come_in_order_and_whole_batches_are_asked(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def ask(items: Any) -> list[Answer]:
        asked.append([item.id for item in items])
        return [_answer(item) for item in items]

    out = tmp_path / "answers.jsonl"
    list(answer_all(_items(5)[2:3], ask, HEADER, out))
    found = list(answer_all(_items(5), ask, HEADER, out, batch=4))
    assert asked == [["2"], ["0", "1", "3"], ["4"]]
    assert [answer.id for answer in found] == ["0", "1", "2", "3", "4"]


def _clip(item: Item, engine: Any) -> Any:
    from videopath.model import open_clip

    return open_clip(item.video, engine.info.frames)


def test_a_missing_package_is_told_before_anything_is_answered(
    questions: Path, tmp_path: Path, videopath: Videopath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "find_spec", lambda name: None)
    judge = "http://127.0.0.1:9/v1#m"
    answer = videopath("evaluate", questions, "--out", tmp_path / "out", "--judge", judge)
    assert (answer.exit_code, "[benchmark]" in answer.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_agent_model_and_blind_stand_beside_each_other(
    questions: Path, tmp_path: Path, own_home: Path, videopath: Videopath
) -> None:
    out = tmp_path / "out"
    answer = videopath("evaluate", questions, "--out", out)
    assert answer.exit_code == 0, answer.stderr
    for words in ("agent", "model", "blind", "1 of 3", "agent − model", "agent − blind", "model − blind", "McNemar p", "macro-F1 ↑",
                  "answered", "Research use only"):  # fmt: skip
        assert words in answer.stdout
    _, found = read_answers(out / "agent" / "answers.jsonl")
    assert found[0].text == f"{found[0].description}\nDiagnosis: {found[0].diagnosis}"
    probabilities = [candidate.probability for candidate in found[0].differential]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert found[0].confidence is not None
    assert found[0].seconds > 0
    assert (found[0].group, "broken.mkv" in found[2].error) == ("patient 0", True)

    report = read_set_report(out / "report.json")
    assert report == read_set_report(list_set_reports(own_home)[0])
    by_name = {system.system: system for system in report.systems}
    assert list(by_name) == ["agent", "model", "blind", "cases", "colour"]
    assert set(by_name["agent"].figures) - set(by_name["model"].figures) == {"top3"}
    assert {metric.name for metric in report.metrics} == set(by_name["agent"].figures)
    assert (by_name["model"].answers, by_name["model"].failed) == (3, 1)
    assert all(system.figures["accuracy"].questions == 3 for system in report.systems)
    assert by_name["agent"].figures["coverage"].value <= 2 / 3
    assert sum(point.right.count for point in by_name["model"].reliability) == 3

    again = videopath(
        "evaluate", questions, "--out", out, "--system", "model", "--controls", "--json", "--model", "nano"
    )
    document = json.loads(again.stdout)
    assert [row["control"] for row in document["controls"]] == [
        "blank", "other-video", "shuffled", "single-frame", "paraphrase", "wrong-site", "stain"
    ]  # fmt: skip
    by_control = {row["control"]: row for row in document["controls"]}
    assert by_control["other-video"]["questions"] == 3
    assert by_control["blank"]["same_answer"]["value"] < 1
    assert [pair["pairs"] for pair in document["pairs"]] == [len(document["nearest"])]
    assert (out / "model" / "controls" / "blank.jsonl").exists()


@pytest.mark.slow
def test_a_kill_loses_no_answer(questions: Path, tmp_path: Path) -> None:
    """The process is killed while it answers; the next one goes on behind the answers that are there."""
    out = tmp_path / "out"
    file = out / "model" / "answers.jsonl"
    command = [sys.executable, "-m", "videopath.app.cli", "evaluate", str(questions), "--out", str(out), "--system", "model"]  # fmt: skip
    running = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    deadline = time.monotonic() + 120
    while not (file.exists() and file.read_text().count("\n") > 1):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = [line for line in file.read_text().split("\n")[:-1] if not json.loads(line).get("error")]
    answer = CliRunner().invoke(app, command[3:])
    assert answer.exit_code == 0, answer.stderr
    assert file.read_text().split("\n")[: len(before)] == before
    assert [found.id for found in read_answers(file)[1]] == [
        "benign colon tissue",
        "colon adenocarcinoma",
        "broken",
    ]
