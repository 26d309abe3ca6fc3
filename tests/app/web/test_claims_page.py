"""What the case page says beside a diagnosis: not calibrated, not answered, other looks, other organs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath.agent import load_case_library
from videopath.agent.cases.records import LookTaken
from videopath.app.web.components.case.evidence.differential import differential_in_words
from videopath.tools.schemas import Candidate

App = Callable[..., Any]


def test_what_limits_a_diagnosis_stands_beside_it(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    report.provenance["calibrated"] = False
    report.question, report.question_answered = "How many mitoses?", False
    report.looks = [
        LookTaken(diagnosis="colon adenocarcinoma", probability=0.94),
        LookTaken(diagnosis=report.diagnosis, probability=0.81, start=1.0, end=2.0, reported=True),
    ]
    report.differential = [
        Candidate(label=report.diagnosis, probability=0.5),
        Candidate(label="the pitary", probability=0.3, known_term=False),
        Candidate(label="lung adenocarcinoma", probability=0.2, other_organ=True),
    ]
    library.save(report)
    page = app("case", id="done").run()
    assert not page.exception
    assert page.title[0].value.replace("\\", "") == f"{report.diagnosis.capitalize()} (not calibrated)"
    said = "\n".join(text.value for text in page.text)
    assert "Question: How many mitoses? – not answered" in said
    assert "Look 1, the whole video: colon adenocarcinoma (94%" in said
    assert f"Look 2, 1.0 s to 2.0 s: {report.diagnosis} (81%" in said
    chart = page.get("vega_lite_chart")[0].proto.alt
    assert "the pitary (not a known term)" in chart
    assert "lung adenocarcinoma" not in chart
    assert "1 candidate of other organs (20.0% together)" in [
        box.label.replace("\\", "") for box in page.expander
    ]


def test_the_chart_in_words_marks_what_is_no_term() -> None:
    candidate = Candidate(label="the adder", probability=1.0, known_term=False)
    assert differential_in_words([candidate]) == "Differential: the adder (not a known term) 100%"


def test_a_new_case_may_accept_what_is_not_calibrated(app: App, home: Path) -> None:
    page = app("new_case").run()
    assert not page.exception
    assert page.checkbox(key="accept_uncalibrated").value is False
