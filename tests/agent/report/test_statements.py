"""Who said what, in order: model blind, agent, person; every writer takes it from one place."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pypdf import PdfReader

from videopath.agent.cases.records import Addendum, CaseReport, Decision
from videopath.agent.report.statements import statements, writer_of
from videopath.app.cli.console import stdout
from videopath.app.cli.summary import summary

BLIND, AGENT, PERSON, LATER = (
    "benign colon tissue",
    "colon adenocarcinoma",
    "tubular adenoma",
    "serrated adenoma",
)
SEGMENT = {"start": 1.0, "end": 2.0}


def edited(cases: SimpleNamespace, status: str = "signed", **more: object) -> CaseReport:
    """The similar cases changed nothing of what the person wrote."""
    decision = Decision(
        action="edit",
        reviewer="Dr. A",
        diagnosis=PERSON,
        decided="2026-01-31T14:25:00.000Z",
        changes={"diagnosis": {"from": AGENT, "to": PERSON}},
    )
    usual = {
        "diagnosis": PERSON,
        "changed_by_retrieval": False,
        "blind_diagnosis": BLIND,
        "rationale": "The glands are crowded.",
        "advice": ["Have a pathologist look at the slide."],
    }
    return cases.report(status=status, review=[decision], **{**usual, **more})


def on_paper(report: CaseReport) -> str:
    pages = PdfReader(io.BytesIO(report.to_pdf())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def on_terminal(report: CaseReport) -> str:
    console = stdout()
    with console.capture() as captured:
        console.print(summary(report))
    return captured.get()


WRITERS = [CaseReport.to_markdown, on_paper, on_terminal]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("status", ["signed", "done", "waiting for review"])
def test_a_persons_edit_is_told_after_model_and_agent_and_credited_to_nobody_else(
    cases: SimpleNamespace, write: Callable[[CaseReport], str], status: str
) -> None:
    text = write(edited(cases, status))
    said = text[text.index("Who said what") :]
    assert said.index("before it saw similar cases") < said.index("the agent") < said.index("Dr. A")
    assert said.index(BLIND) < said.index(AGENT) < said.index(PERSON)
    assert "similar cases changed the answer" not in text


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("status", ["signed", "done", "waiting for review"])
def test_confidence_advice_and_rationale_of_the_agent_are_set_apart(
    cases: SimpleNamespace, write: Callable[[CaseReport], str], status: str
) -> None:
    text = write(edited(cases, status))
    head, agents = text.split("What the agent said", 1)
    assert PERSON in head
    assert "onfidence" not in head
    assert AGENT in agents
    for own in ("80%", "Have a pathologist look", "The glands are crowded."):
        assert own not in head
        assert own in agents


@pytest.mark.parametrize("write", WRITERS)
def test_the_agents_own_answer_has_its_confidence_beside_it(
    cases: SimpleNamespace, write: Callable[[CaseReport], str]
) -> None:
    text = write(cases.report())
    assert "What the agent said" not in text
    assert "Who said what" not in text
    assert "80%" in text


def test_addenda_come_last(cases: SimpleNamespace) -> None:
    added = Addendum(text="CDX2.", reviewer="Dr. B", diagnosis=LATER, added="2026-02-01T08:00:00.000Z")
    said = statements(edited(cases, addenda=[added]))
    assert [s.by for s in said] == ["model", "agent", "person", "person"]
    assert [s.diagnosis for s in said] == [BLIND, AGENT, PERSON, LATER]
    assert str(said[-1]) == "Dr. B added an addendum on 2026-02-01 08:00 UTC: serrated adenoma; “CDX2.”"
    assert said[-2].act == "corrected and signed"


def test_words_of_a_person_are_theirs_until_the_model_describes_anew(cases: SimpleNamespace) -> None:
    words = Decision(
        action="revise",
        reviewer="Dr. A",
        findings=["Tubules."],
        changes={
            "description": {"from": "Glands.", "to": "Tubules."},
            "findings": {"from": ["Glands."], "to": ["Tubules."]},
        },
    )
    report = cases.report(status="waiting for review", description="Tubules.", review=[words])
    assert writer_of("description", report) == "Dr. A"
    for write in WRITERS:
        assert "words of Dr. A" in write(report).replace("\\", "")
    anew = Decision(action="revise", reviewer="Dr. B", segment=SEGMENT)
    report = report.model_copy(update={"review": [words, anew], "description": "Crypts."})
    assert writer_of("description", report) is None
