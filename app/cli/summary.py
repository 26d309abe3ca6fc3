"""The summary of a case on the terminal. Markup in texts of the model is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from videopath.agent.cases.unfinished import UNFINISHED
from videopath.agent.report.phrases import (
    basis_in_words,
    blind_in_words,
    by_organ,
    candidate_in_words,
    confidence_in_words,
    diagnosis_in_words,
    follow_up_in_words,
    follow_up_source,
    left_out_sentences,
    looks_in_words,
    other_organs_in_words,
    outcome_title,
    question_in_words,
    second_opinion_in_words,
    sent_away_sentence,
    shares_in_words,
    vote_in_words,
    vouchers_in_words,
    writing_sentences,
)
from videopath.agent.report.sections import ADVICE, AGENT_SAID, NOT_PART, ReportSection, write_sections
from videopath.agent.report.statements import (
    agent_diagnosis_in_words,
    retrieval_sentence,
    statements,
    writer_of,
)
from videopath.agent.report.values import moment
from videopath.app.cli.console import plain, table
from videopath.tools.context import ranks_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from videopath.agent.cases.records import Candidate, CaseReport, FollowUp


def summary(report: CaseReport, state: str = "") -> RenderableType:
    """Return the summary of a case, ready to print.

    Args:
        report: The report.
        state: The library's word for its status; default: the report's own status.
    """
    return Group(*_parts(report, state or report.status), "", Text(report.notice, style="yellow"))


def _parts(report: CaseReport, state: str) -> Iterator[RenderableType]:
    yield _headline(report, state)
    if report.status in UNFINISHED:
        rows = ((step.name, f"{step.seconds:.2f}", step.summary) for step in report.steps)
        yield _titled(
            "Finished steps", table(("step", "seconds", "outcome"), rows) if report.steps else "none"
        )
    for section in write_sections(report, _WRITERS):
        yield from section


def _outcome(report: CaseReport) -> Iterator[RenderableType]:
    if report.question:
        yield plain(f"Question: {question_in_words(report)}")
    if report.sent_to:
        yield plain(sent_away_sentence(report.sent_to), "yellow")
    for sentence in writing_sentences(report):
        yield plain(sentence, "yellow" if report.shows_writing else "")
    yield from _agent_parts(report)


def _statements(report: CaseReport) -> Iterator[RenderableType]:
    yield _titled(
        ReportSection.STATEMENTS.value, *(plain(str(statement)) for statement in statements(report))
    )


def _description(report: CaseReport) -> Iterator[RenderableType]:
    """The description if it has no findings: these are its sentences."""
    if not report.findings:
        yield _titled(ReportSection.DESCRIPTION.value, plain(report.description))
    if writer := writer_of("description", report):
        yield plain(f"\nDescription and findings are in the words of {writer}.")


def _findings(report: CaseReport) -> Iterator[RenderableType]:
    rows = ((moment(f.seconds) if f.has_moment else "–", f.text, basis_in_words(f)) for f in report.findings)
    yield _titled(ReportSection.FINDINGS.value, table(("", "", ""), rows))


def _differential(report: CaseReport) -> Iterator[RenderableType]:
    own, others = by_organ(report.differential)
    yield _titled(ReportSection.DIFFERENTIAL.value, _candidates(own))
    if others:
        yield _titled(other_organs_in_words(others), _candidates(others))


def _similar_cases(report: CaseReport) -> Iterator[RenderableType]:
    rows = (
        (f"{c.score:.3f}", ranks_in_words(c.ranks), c.id, c.diagnosis, "" if c.kept else c.why)
        for c in report.similar_cases
    )
    columns = ("", "ranks", "case", "diagnosis", "reason dropped")
    yield _titled(ReportSection.SIMILAR_CASES.value, table(columns, rows))


def _vote(report: CaseReport) -> Iterator[RenderableType]:
    assert report.vote is not None
    yield plain(f"\n{vote_in_words(report.vote)}")


def _left_out(report: CaseReport) -> Iterator[RenderableType]:
    yield from (plain(f"\n{sentence}") for sentence in left_out_sentences(report))


def _blind(report: CaseReport) -> Iterator[RenderableType]:
    after = agent_diagnosis_in_words(report) or "none"
    yield plain(
        f"\nBlind diagnosis: {blind_in_words(report)}. The agent's diagnosis with similar cases: {after}. "
        f"{retrieval_sentence(report)}"
    )


def _second_opinion(report: CaseReport) -> Iterator[RenderableType]:
    assert report.second_opinion is not None
    own = report.second_opinion.differential
    rows = ((f"{c.probability:6.1%}", candidate_in_words(c), "; ".join(c.support)) for c in own)
    differential = [table(("", "diagnosis", "support"), rows)] if own else []
    sentence = plain(second_opinion_in_words(report))
    yield _titled(ReportSection.SECOND_OPINION.value, sentence, *differential)


def _questions(report: CaseReport) -> Iterator[RenderableType]:
    yield questions_block(report.questions)


_WRITERS = {
    ReportSection.OUTCOME: _outcome,
    ReportSection.STATEMENTS: _statements,
    ReportSection.DESCRIPTION: _description,
    ReportSection.FINDINGS: _findings,
    ReportSection.DIFFERENTIAL: _differential,
    ReportSection.SIMILAR_CASES: _similar_cases,
    ReportSection.VOTE: _vote,
    ReportSection.LEFT_OUT: _left_out,
    ReportSection.BLIND: _blind,
    ReportSection.SECOND_OPINION: _second_opinion,
    ReportSection.QUESTIONS: _questions,
}


def questions_block(questions: Sequence[FollowUp]) -> RenderableType:
    """Return the questions that were asked after a diagnosis, with their answers, ready to print."""
    parts: list[RenderableType] = [plain(NOT_PART, "dim")]
    for asked in questions:
        parts += [
            plain(asked.question, "bold"),
            plain(follow_up_in_words(asked)),
            plain(follow_up_source(asked), "dim"),
        ]
    return _titled(ReportSection.QUESTIONS.value, *parts)


def _agent_parts(report: CaseReport) -> Iterator[RenderableType]:
    """The agent's looks, advice and rationale; in a section of their own if the diagnosis is a person's."""
    parts = [plain(line) for line in (*vouchers_in_words(report), *looks_in_words(report))]
    if report.advice:
        parts += [plain(ADVICE, "bold"), *(plain(f"- {sentence}") for sentence in report.advice)]
    if report.rationale:
        parts += [plain("Rationale", "bold"), plain(report.rationale)]
    if report.has_persons_diagnosis:
        agents = agent_diagnosis_in_words(report) or "no diagnosis"
        yield _titled(
            AGENT_SAID,
            plain(f"{agents}   confidence of the agent {confidence_in_words(report)}"),
            *parts,
        )
    else:
        yield from parts


def _candidates(candidates: Sequence[Candidate]) -> RenderableType:
    rows = (
        (f"{c.probability:6.1%}", *shares_in_words(c), candidate_in_words(c), "; ".join(c.support))
        for c in candidates
    )
    return table(("", "model", "cases", "diagnosis", "support"), rows)


def _headline(report: CaseReport, state: str) -> Text:
    text = Text("\n")
    if report.diagnosis:
        unsure = report.abstained and not report.has_persons_diagnosis
        text.append(f"{outcome_title(report)}: ", style="bold")
        text.append(plain(diagnosis_in_words(report), "bold yellow" if unsure else "bold green"))
        if not report.has_persons_diagnosis:
            text.append(f"   confidence {confidence_in_words(report)}")
    text.append(f"\nCase {report.case_id}: {state}", style="dim")
    if report.site:
        text.append(f"   site: {report.site}", style="dim")
    return text


def _titled(title: str, *parts: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in parts))
