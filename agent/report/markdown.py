"""The report for people as Markdown, read from top to bottom as a pathologist would ask.

Texts of a model, a file name or a reviewer are escaped: they can neither break a table nor bring in HTML or links.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from videopath.agent.cases.records import CaseReport, Finding, FollowUp
from videopath.agent.report.phrases import (
    BALLOT_COLUMNS,
    STATUS_IN_WORDS,
    abstention_in_words,
    ballots_in_words,
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
    second_opinion_in_outcome,
    second_opinion_in_words,
    second_opinion_rows,
    sent_away_sentence,
    shares_in_words,
    vote_in_words,
    vouchers_in_words,
    writing_sentences,
)
from videopath.agent.report.sections import (
    ADVICE,
    AGENT_SAID,
    CHANGE_COLUMNS,
    CHANGES,
    DIFFERENTIAL_COLUMNS,
    NOT_PART,
    OTHER_ORGANS,
    SECOND_COLUMNS,
    SIGNED_STAYS,
    STATEMENT_COLUMNS,
    STEP_COLUMNS,
    ReportSection,
    change_rows,
    provenance_rows,
    step_rows,
    video_rows,
    write_sections,
)
from videopath.agent.report.statements import (
    agent_diagnosis_in_words,
    retrieval_sentence,
    statements,
    writer_of,
)
from videopath.agent.report.values import moment
from videopath.tools.context import ranks_in_words
from videopath.tools.schemas import Candidate

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&!@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_LIST_LIKE = re.compile(r"^(\s*)([-+=]|\d+[.)])(\s|$)")


def to_markdown(report: CaseReport) -> str:
    """Return the whole report as Markdown."""
    head = [f"# Case {_inline(report.case_id)}", f"> **{_inline(report.notice)}**"]
    return "\n\n".join([*head, *write_sections(report, _WRITERS)]) + "\n"


def _outcome(report: CaseReport) -> str:
    lines = [f"**Status:** {STATUS_IN_WORDS[report.status]}"]
    if report.diagnosis:
        lines.append(f"**{outcome_title(report)}:** {_inline(diagnosis_in_words(report))}")
    if report.amended_diagnosis:
        lines.append(f"**Diagnosis of the latest addendum:** {_inline(report.amended_diagnosis)}")
    apart = report.has_persons_diagnosis  # then the agent's confidence and advice belong to its own diagnosis
    if report.diagnosis and not apart:
        lines.append(f"**Confidence:** {confidence_in_words(report)}")
    if not apart:
        lines += [f"**Who vouches:** {_inline(sentence)}" for sentence in vouchers_in_words(report)]
    if report.site:
        lines.append(f"**Site:** {_inline(report.site)}")
    if report.question:
        lines.append(f"**Question:** {_inline(question_in_words(report))}")
    parts = ["  \n".join(lines)]
    if apart:
        diagnosis = _inline(agent_diagnosis_in_words(report)) or "none"
        parts += [
            f"### {AGENT_SAID}",
            f"**Diagnosis:** {diagnosis}  \n**Confidence:** {confidence_in_words(report)}",
            *map(_inline, vouchers_in_words(report)),
        ]
    if report.abstained:
        parts.append(abstention_in_words(report))
    parts += map(_inline, looks_in_words(report))
    parts += filter(None, [_inline(second_opinion_in_outcome(report))])
    if report.sent_to:
        parts.append(f"**{_inline(sent_away_sentence(report.sent_to))}**")
    if report.advice:
        parts += [f"{ADVICE}:", "\n".join(f"- {_inline(sentence)}" for sentence in report.advice)]
    if report.rationale:
        parts.append(f"**Rationale.** {_inline(report.rationale)}")
    return "\n\n".join(parts)


def _statements(report: CaseReport) -> str:
    rows = ((s.who, s.when, s.act, s.diagnosis, s.comment) for s in statements(report))
    return _titled(ReportSection.STATEMENTS, _table(STATEMENT_COLUMNS, map(_cells, rows)))


def _description(report: CaseReport) -> str:
    writer = writer_of("description", report)
    words = [f"In the words of {_inline(writer)}:"] if writer else []
    return _titled(ReportSection.DESCRIPTION, *words, _quote(report.description))


def _findings(report: CaseReport) -> str:
    still = report.video is not None and report.video.kind == "image"
    rows = (_finding_row(finding, still) for finding in report.findings)
    return _titled(ReportSection.FINDINGS, _table(("moment", "frame", "finding", "rests on"), rows), level=3)


def _finding_row(finding: Finding, still: bool) -> tuple[str, str, str, str]:
    words = _inline(finding.text), _inline(basis_in_words(finding))
    if not finding.has_moment:
        return "–", "–", *words
    frame = f"[{finding.frame}]({finding.image})" if finding.image else str(finding.frame)
    return "still image" if still else moment(finding.seconds), frame, *words


def _differential(report: CaseReport) -> str:
    own, others = by_organ(report.differential)
    parts = [_candidates(own)]
    if others:
        parts += [f"### {OTHER_ORGANS}", f"{other_organs_in_words(others)}:", _candidates(others)]
    return _titled(ReportSection.DIFFERENTIAL, *parts)


def _candidates(candidates: Sequence[Candidate]) -> str:
    rows = (
        (candidate_in_words(c), f"{c.probability:.1%}", *shares_in_words(c), "; ".join(c.support))
        for c in candidates
    )
    return _table(DIFFERENTIAL_COLUMNS, map(_cells, rows))


def _similar_cases(report: CaseReport) -> str:
    columns = ("case", "similarity", "ranks", "diagnosis", "used", "why", "description")
    rows = (
        (
            _inline(case.id),
            f"{case.score:.3f}",
            ranks_in_words(case.ranks) or "–",
            _inline(case.diagnosis),
            "yes" if case.kept else "no",
            _inline(case.why) or "–",
            _inline(case.description),
        )
        for case in report.similar_cases
    )
    return _titled(ReportSection.SIMILAR_CASES, _table(columns, rows))


def _vote(report: CaseReport) -> str:
    assert report.vote is not None
    rows = (tuple(map(_inline, row)) for row in ballots_in_words(report.vote))
    return _titled(
        ReportSection.VOTE, _inline(vote_in_words(report.vote)), _table(BALLOT_COLUMNS, rows), level=3
    )


def _left_out(report: CaseReport) -> str:
    return _titled(ReportSection.LEFT_OUT, *map(_inline, left_out_sentences(report)))


def _blind(report: CaseReport) -> str:
    first = _inline(blind_in_words(report))
    last = _inline(agent_diagnosis_in_words(report)) or "none"
    return _titled(ReportSection.BLIND, f"Blind: {first}  \nFinal: {last}", retrieval_sentence(report))


def _second_opinion(report: CaseReport) -> str:
    assert report.second_opinion is not None
    parts = [_inline(second_opinion_in_words(report))]
    if candidates := report.second_opinion.differential:
        rows = ((candidate_in_words(c), f"{c.probability:.1%}", "; ".join(c.support)) for c in candidates)
        parts.append(_table(SECOND_COLUMNS, map(_cells, rows)))
    rows_of_fields = ((name, _inline(value)) for name, value in second_opinion_rows(report))
    return _titled(ReportSection.SECOND_OPINION, *parts, _table(("", ""), rows_of_fields))


def _review(report: CaseReport) -> str:
    rows = ((d.decided, d.reviewer, d.action, d.diagnosis or "", d.comment) for d in report.review)
    parts = [_table(("when", "who", "decision", "diagnosis", "comment"), map(_cells, rows))]
    if changes := change_rows(report):
        parts += [f"### {CHANGES}", _table(CHANGE_COLUMNS, (tuple(map(_inline, row)) for row in changes))]
    return _titled(ReportSection.REVIEW, *parts)


def _addenda(report: CaseReport) -> str:
    parts = [
        f"### {_inline(addendum.added)}, {_inline(addendum.reviewer)}\n\n"
        + (f"**Diagnosis:** {_inline(addendum.diagnosis)}\n\n" if addendum.diagnosis else "")
        + _quote(addendum.text)
        for addendum in report.addenda
    ]
    return _titled(ReportSection.ADDENDA, SIGNED_STAYS, *parts)


def _questions(report: CaseReport) -> str:
    return _titled(ReportSection.QUESTIONS, NOT_PART, *_questions_and_answers(report.questions))


def questions_to_markdown(case_id: str, questions: Sequence[FollowUp]) -> str:
    """Return the questions that were asked about a signed case, to lie beside its report."""
    head = f"# {ReportSection.QUESTIONS.value}, case {_inline(case_id)}"
    return "\n\n".join([head, NOT_PART, *_questions_and_answers(questions)]) + "\n"


def _questions_and_answers(questions: Sequence[FollowUp]) -> list[str]:
    return [
        f"**{_inline(asked.question)}**\n\n{_quote(follow_up_in_words(asked))}\n\n{_inline(follow_up_source(asked))}"
        for asked in questions
    ]


def _video(report: CaseReport) -> str:
    writing = [_inline(sentence) for sentence in writing_sentences(report)]
    rows = (
        (_inline(name), f"`{value}`" if name == "SHA-256" else _inline(value))
        for name, value in video_rows(report)
    )
    return _titled(ReportSection.VIDEO, *writing, _table(("", ""), rows))


def _steps(report: CaseReport) -> str:
    return _titled(ReportSection.STEPS, _table(STEP_COLUMNS, map(_cells, step_rows(report))))


def _provenance(report: CaseReport) -> str:
    return _titled(ReportSection.PROVENANCE, _table(("", ""), map(_cells, provenance_rows(report))))


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
    ReportSection.REVIEW: _review,
    ReportSection.ADDENDA: _addenda,
    ReportSection.QUESTIONS: _questions,
    ReportSection.VIDEO: _video,
    ReportSection.STEPS: _steps,
    ReportSection.PROVENANCE: _provenance,
}


def _titled(section: ReportSection, *parts: str, level: int = 2) -> str:
    return "\n\n".join([f"{'#' * level} {section.value}", *parts])


def _cells(row: Iterable[str]) -> tuple[str, ...]:
    """Return the escaped cells of a row; an empty one is a dash."""
    return tuple(_inline(cell) or "–" for cell in row)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _inline(text: str) -> str:
    """Return the text as one escaped line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _quote(text: str) -> str:
    lines = (_LIST_LIKE.sub(r"\1\\\2\3", _inline(line)) for line in text.splitlines())
    return "\n".join(f"> {line}".rstrip() for line in lines)
