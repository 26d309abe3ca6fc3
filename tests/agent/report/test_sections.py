"""All writers of a report have the same sections in the same order."""

from __future__ import annotations

from io import BytesIO, StringIO
from types import SimpleNamespace

import pytest
from pypdf import PdfReader
from rich.console import Console

from videopath.agent.cases.records import Addendum, Candidate, CaseReport, Decision, FollowUp, SecondOpinion
from videopath.agent.report.sections import ReportSection, sections_of, video_rows, write_sections
from videopath.app.cli.summary import summary


@pytest.fixture
def full(cases: SimpleNamespace) -> CaseReport:
    """A report with every section but the vote."""
    opinion = SecondOpinion(
        model="other model",
        label="benign colon tissue",
        gives_diagnosis=True,
        differential=[Candidate(label="benign colon tissue", probability=1.0)],
    )
    question = FollowUp(
        question="Is there necrosis?", answer="Yes.", answered=True, model="VideoPath-nano", weights="1" * 64,
        device="cpu", prompt_sha256="2" * 64, seconds=0.5, asked="2026-02-01T10:00:00.000Z", frames=[0],
    )  # fmt: skip
    changes = {"diagnosis": {"from": "colon adenocarcinoma", "to": "tubular adenoma"}}
    return cases.report(
        status="signed",
        diagnosis="tubular adenoma",
        excluded_count=1,
        retrieval_notes=["No image view."],
        review=[Decision(action="edit", reviewer="Dr A", diagnosis="tubular adenoma", changes=changes)],
        addenda=[Addendum(text="CDX2.", reviewer="Dr B")],
        second_opinion=opinion,
        questions=[question],
    )


def titles(text: str, sections: list[ReportSection]) -> list[ReportSection]:
    """The sections whose titles stand alone on a line of the text, in the order of the text."""
    by_title = {section.value: section for section in sections}
    lines = (line.strip("# ").strip() for line in text.splitlines())
    return [by_title[line] for line in lines if line in by_title]


def pdf_lines(report: CaseReport) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(report.to_pdf())).pages)


def terminal(report: CaseReport) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(summary(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_report_has_the_sections_that_have_something_to_say(
    full: CaseReport, cases: SimpleNamespace
) -> None:
    assert sections_of(full) == [section for section in ReportSection if section is not ReportSection.VOTE]
    empty = CaseReport(case_id="case-1", status="failed")
    assert sections_of(empty) == [ReportSection.OUTCOME, ReportSection.PROVENANCE]
    assert ReportSection.STATEMENTS not in sections_of(cases.report())


def test_sections_without_a_writer_are_left_out(full: CaseReport) -> None:
    writers = {
        ReportSection.STEPS: lambda _: "steps",
        ReportSection.OUTCOME: lambda _: "outcome",
        ReportSection.VOTE: lambda _: "vote",
    }
    assert list(write_sections(full, writers)) == ["outcome", "steps"]


def test_markdown_pdf_and_terminal_have_one_order(full: CaseReport) -> None:
    expected = sections_of(full)
    assert titles(full.to_markdown(), expected) == [s for s in expected if s is not ReportSection.OUTCOME]
    for text in (pdf_lines(full), terminal(full)):
        written = titles(text, expected)
        assert len(written) > 3
        assert written == sorted(written, key=expected.index)


def test_rows_of_an_image_have_no_moments(full: CaseReport) -> None:
    names = [name for name, _ in video_rows(full)]
    assert names[:6] == ["file", "SHA-256", "length", "size", "frames seen", "moments seen"]
    still = full.model_copy(update={"video": full.video.model_copy(update={"kind": "image"})})
    assert not {"length", "moments seen"} & {name for name, _ in video_rows(still)}
