"""A confidence is called calibrated only where it is, and never stands beside a person's diagnosis as if of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent import DiagnosticAgent
from videopath.agent.cases.library import load_case_library
from videopath.agent.report.phrases import confidence_in_words
from videopath.app.cli.summary import summary


def shown(report: object) -> str:
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=200)
    console.print(summary(report))  # type: ignore[arg-type]
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("calibrated", "words"),
    [(True, "80% (calibrated)"), (False, "none, since this model is not calibrated"), (None, "80%")],
)
def test_who_vouches_for_a_confidence(cases: SimpleNamespace, calibrated: bool | None, words: str) -> None:
    report = cases.report(confidence=0.8)
    if calibrated is not None:
        report.provenance["calibrated"] = calibrated
    assert confidence_in_words(report) == words
    assert f"**Confidence:** {words}  \n" in report.to_markdown()
    assert f"confidence {words}" in shown(report)


def test_a_model_that_nobody_calibrated_gives_no_number(
    small_checkpoint: Path, small_case: Path, words_alone: Path
) -> None:
    with DiagnosticAgent.load(str(small_checkpoint), words_alone) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert report.provenance["calibrated"] is False
    assert "%" not in report.to_markdown().split("## ")[0]


def test_nano_is_calibrated(nano_engine, small_case: Path) -> None:
    with DiagnosticAgent.load(nano_engine) as agent:
        assert "% (calibrated)" in agent.diagnose(small_case, site="colon").to_markdown()


def test_the_agents_words_are_set_apart_from_a_persons_diagnosis(cases: SimpleNamespace) -> None:
    library = load_case_library()
    library.save(cases.report("case-1", confidence=0.8))
    before = library.get("case-1").diagnosis
    report = library.sign("case-1", "Dr. A", diagnosis="tubular adenoma")
    head, agents = report.to_markdown().split("### What the agent said")
    assert "**Diagnosis:** tubular adenoma" in head
    assert "80%" not in head
    assert f"**Diagnosis:** {before}" in agents
    assert "**Confidence:** 80%" in agents
    assert "confidence of the agent 80%" in shown(report)
