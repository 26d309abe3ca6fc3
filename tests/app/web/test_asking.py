"""Asking the case on its page: in the worker's queue, by the case's own model, kept beside the report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import FollowUp
from videopath.app.web.runtime.services import services

App = Callable[..., Any]


def asked(question: str, **more: Any) -> FollowUp:
    values = {
        "answer": "There are dark glands.", "answered": True, "model": "other <b>model</b>", "weights": "1" * 64,
        "device": "cpu", "prompt_sha256": "2" * 64, "seconds": 0.5, "asked": "2026-02-01T10:00:00.000Z", "frames": [0],
    }  # fmt: skip
    return FollowUp(question=question, **values | more)


def words(page: Any) -> str:
    parts = [*page.text, *page.caption, *page.error, *page.header, *page.info]
    return "\n".join(str(part.value) for part in parts).replace("\\", "")


def opened(app: App, case_id: str) -> Any:
    page = app("case", id=case_id)
    page.session_state["case_tab"] = "Ask"
    page.run()
    assert not page.exception
    return page


def answered(page: Any, seconds: float = 60) -> Any:
    """The page when nothing of it is being answered any more."""
    end = time.monotonic() + seconds
    while page.session_state["asking_pending"]:
        assert time.monotonic() < end, words(page)
        time.sleep(0.05)
        page.run()
        assert not page.exception
    return page


def test_questions_stand_with_their_answers_and_the_first_one_too(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    report.question, report.question_answered = "How many *mitoses*?", False
    library.save(report)
    library.sign("done", "Dr A", diagnosis="colon adenocarcinoma")
    before = (library.folder("done") / "report.json").read_bytes()
    assert report.video is not None
    library.add_question("done", asked("Is there [necrosis]?", frames=report.video.indices))
    library.add_question(
        "done", asked("How many?", answered=False, why_not="the question asks for a number.")
    )
    page = opened(app, "done")
    shown = words(page)
    for part in (
        "How many *mitoses*?",
        "Not answered: VideoPath gives a diagnosis, and this asks for something else.",
        "Is there [necrosis]?",
        "There are dark glands.",
        "Not answered: the question asks for a number.",
        "never part of the diagnosis",
        f"{report.model} answers: the model that diagnosed this case",
    ):
        assert part in shown, part
    assert [message.name for message in page.chat_message] == ["person", "model"] * 3
    assert (library.folder("done") / "report.json").read_bytes() == before


def test_a_question_waits_its_turn_is_answered_and_kept(app: App, home: Path, nano_engine: Any) -> None:
    page = opened(app, "done")
    shared, held = services(), threading.Event()
    shared.worker.engines.put("nano", nano_engine)
    shared.worker.ask("somebody else", lambda _: held.wait(60))
    page.chat_input(key="ask_case").set_value("Are the <b>glands</b> crowded?").run()
    assert not page.exception
    assert "Are the <b>glands</b> crowded?" in words(page)
    assert "In the queue" in words(page)
    assert page.chat_input(key="ask_case").disabled
    assert shared.library.questions("done") == []
    held.set()
    answered(page)
    (kept,) = shared.library.questions("done")
    assert kept.question == "Are the <b>glands</b> crowded?"
    assert kept.answer
    assert kept.answer in words(page)
    assert not page.chat_input(key="ask_case").disabled
    assert f"Asked over {len(kept.frames)} frames" in [fold.label for fold in page.expander]


def test_a_stopped_question_leaves_nothing(app: App, home: Path, nano_engine: Any) -> None:
    page = opened(app, "done")
    shared, held = services(), threading.Event()
    shared.worker.engines.put("nano", nano_engine)
    shared.worker.ask("somebody else", lambda _: held.wait(60))
    page.chat_input(key="ask_case").set_value("Are the glands crowded?").run()
    page.button(key="stop_question").click().run()
    held.set()
    answered(page)
    assert shared.library.questions("done") == []
    assert "There is no answer" not in words(page)


def test_why_there_is_no_answer_stands_beside_the_field(app: App, home: Path, nano_engine: Any) -> None:
    library = load_case_library(home)
    report = library.get("done")
    for step in report.steps:
        if step.name == "diagnose":
            step.detail["request"]["video"] = str(home / "gone.mp4")
    library.save(report)
    page = opened(app, "done")
    services().worker.engines.put("nano", nano_engine)
    page.chat_input(key="ask_case").set_value("Necrosis?").run()
    answered(page)
    shown = words(page)
    assert "There is no answer." in shown
    assert "gone.mp4" in shown
    assert "Your question was: Necrosis?" in shown
    assert library.questions("done") == []
