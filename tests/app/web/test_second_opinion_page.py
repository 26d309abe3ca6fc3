"""The page of a case says what a second model said, where frames went, and what was asked afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import Candidate, FollowUp, SecondOpinion

App = Callable[..., Any]


def texts(page: Any) -> str:
    parts = [*page.text, *page.markdown, *page.caption, *page.warning, *page.subheader]
    tables = [table.value.to_string() for table in page.table]
    return "\n".join([*(str(part.value) for part in parts), *tables]).replace("\\", "")


def test_the_second_opinion_and_the_questions_are_on_the_page(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    report.second_opinion = SecondOpinion(
        model="other <b>model</b>", weights="7" * 64, device="cuda", label="benign colon tissue", gives_diagnosis=True,
        differential=[Candidate(label="benign colon tissue", probability=0.9)], description="Quiet crypts.",
    )  # fmt: skip
    report.sent_to = {"qwen": "https://models.example/v1"}
    library.save(report)
    asked = {
        "answer": "There are dark glands.", "answered": False, "why_not": "the question asks for a number.",
        "model": "VideoPath-nano", "weights": "1" * 64, "device": "cpu", "prompt_sha256": "2" * 64, "seconds": 0.5,
        "asked": "2026-02-01T10:00:00.000Z", "frames": [0],
    }  # fmt: skip
    library.add_question("done", FollowUp(question="How many [mitoses]?", **asked))
    page = app("case", id="done").run()
    assert not page.exception
    shown = texts(page)
    assert "The second opinion of other <b>model</b> is benign colon tissue." in shown
    assert "a second model, blind: other <b>model</b>" in shown, "who said what"
    assert "Quiet crypts." in shown
    assert "they were sent to https" in shown
    assert "Questions asked afterwards" in shown
    assert "How many [mitoses]?" in shown
    assert "Not answered: the question asks for a number." in shown


def test_a_signed_case_shows_its_questions_as_well(app: App, home: Path) -> None:
    library = load_case_library(home)
    library.sign("done", "Dr A")
    before = (library.folder("done") / "report.json").read_bytes()
    asked = FollowUp(
        question="Is there necrosis?", answer="Yes.", answered=True, model="m", weights="1" * 64, device="cpu",
        prompt_sha256="2" * 64, seconds=0.5, asked="2026-02-01T10:00:00.000Z", frames=[0],
    )  # fmt: skip
    library.add_question("done", asked)
    page = app("case", id="done").run()
    assert not page.exception
    assert "Is there necrosis?" in texts(page)
    assert (library.folder("done") / "report.json").read_bytes() == before


def test_a_case_without_both_shows_nothing_of_them(app: App, home: Path) -> None:
    shown = texts(app("case", id="done").run())
    assert "second opinion" not in shown.lower()
    assert "asked afterwards" not in shown
    assert "left this machine" not in shown
