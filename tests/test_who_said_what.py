"""A person's words are never shown as the agent's, nor the agent's confidence as that of a person's diagnosis."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfReader
from rich.console import Console

from videopath.agent.library import load_case_library
from videopath.agent.records import CaseReport, Decision
from videopath.agent.who_said import who_said_what
from videopath.app.summary import summary
from videopath.tools.schemas import Candidate

_BLIND, _AGENT, _PERSON, _REVIEWER = "tubular adenoma", "benign colon tissue", "lymphoma", "Dr Vesalius"


def edited(status: str = "signed", **more: object) -> CaseReport:
    """A case whose diagnosis a person has written, beside what the model and the agent had said."""
    edit = Decision(
        action="edit",
        reviewer=_REVIEWER,
        diagnosis=_PERSON,
        changes={"diagnosis": {"from": _AGENT, "to": _PERSON}},
    )
    values: dict[str, object] = {
        "case_id": "case-1",
        "status": status,
        "diagnosis": _PERSON,
        "blind_diagnosis": _BLIND,
        "changed_by_retrieval": True,
        "confidence": 0.42,
        "abstained": True,
        "rationale": "Glands without atypia.",
        "advice": ["A longer view would help."],
        "differential": [Candidate(label=_AGENT, probability=0.9, support=[])],
        "review": [edit],
        "model": "VideoPath-nano",
        "created": "2026-01-31T14:25:01.000Z",
    }
    return CaseReport(**(values | more))


def in_terminal(report: CaseReport) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(summary(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


def in_pdf(report: CaseReport) -> str:
    pages = PdfReader(io.BytesIO(report.to_pdf())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


WRITERS: dict[str, Callable[[CaseReport], str]] = {
    "markdown": CaseReport.to_markdown,
    "pdf": in_pdf,
    "terminal": in_terminal,
}


@pytest.mark.parametrize("status", ["signed", "done", "waiting for review"])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_names_the_authors_in_order(writer: str, status: str) -> None:
    text = WRITERS[writer](edited(status))
    before = text.rindex(_BLIND)
    agent = text.index(_AGENT, before)
    assert before < agent < text.index(_PERSON, agent)
    assert _REVIEWER in text[agent:]
    assert "The similar cases changed the answer." in text, "the agent's, from the blind one to its own"


@pytest.mark.parametrize("status", ["signed", "done"])
@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_the_agents_stands_apart_from_a_persons_diagnosis(writer: str, status: str) -> None:
    text = WRITERS[writer](edited(status))
    head, mark, agents = text.partition("What the agent said")
    assert mark
    assert _PERSON in head
    for words in (_AGENT, "42%", "Glands without atypia", "A longer view would help"):
        assert words not in head
        assert words in agents
    assert "not signed out" not in head, "the person's diagnosis stands"


def test_of_the_agent_alone_nothing_is_set_apart() -> None:
    report = edited("done", review=[], diagnosis=_AGENT, abstained=False)
    said = who_said_what(report)
    assert (said.by_person, [what for _, what in said.rows()]) == (False, [_BLIND, _AGENT])
    assert "What the agent said" not in report.to_markdown()


def test_an_accepted_diagnosis_is_the_agents_and_the_persons() -> None:
    accept = Decision(action="accept", reviewer=_REVIEWER)
    said = who_said_what(edited(review=[accept], diagnosis=_AGENT))
    assert [what for _, what in said.rows()] == [_BLIND, _AGENT, _AGENT]
    assert said.rows()[-1][0] == _REVIEWER


def test_an_edit_of_a_version_that_kept_no_changes_is_not_the_agents() -> None:
    old = Decision(action="edit", reviewer=_REVIEWER, diagnosis=_PERSON)
    assert who_said_what(edited(review=[old])).agent == _AGENT


def test_an_edit_is_not_shown_as_the_answer_after_the_similar_cases() -> None:
    assert f"Blind: {_BLIND}  \nFinal: {_AGENT}  \n{_REVIEWER}: {_PERSON}" in edited().to_markdown()


def page_of(module: str, **query: str) -> str:
    """The texts of a page of the app."""
    from streamlit.testing.v1 import AppTest

    def page(module: str) -> None:
        from importlib import import_module

        import_module(f"videopath.app.web.pages.{module}").show()

    test = AppTest.from_function(page, args=(module,), default_timeout=120)
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    kinds = ("title", "markdown", "text", "caption", "subheader", "info", "metric")
    told = (f"{getattr(e, 'label', '')} {e.value}" for kind in kinds for e in getattr(test, kind))
    return "\n".join(told).replace("\\", "")  # without Markdown's escapes


def test_the_pages_of_the_app_say_the_same(own_home: Path) -> None:
    from videopath.app.web.services import close_services

    library = load_case_library()
    library.save(edited())
    library.save(edited(case_id="case-2", review=[], status="done", diagnosis=_AGENT))
    try:
        case = page_of("case", id="case-1")
        assert f"The agent said: {_AGENT}, confidence 42%" in case
        assert "Differential of the agent" in case
        assert f"they changed its answer to “{_AGENT}”. The diagnosis of {_REVIEWER} is “{_PERSON}”." in case
        both = page_of("compare", a="case-1", b="case-2")
        assert f"confidence of the agent in “{_AGENT}”" in both
        assert f"Agent, after them: {_AGENT}" in both
        assert f"{_REVIEWER}: {_PERSON}" in both
    finally:
        close_services()
