"""The report as PDF, to hand on: the outcome first, then what it rests on, then how it was found."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, KeepTogether, Spacer, Table

from videopath.agent.cases.records import CaseReport, Finding
from videopath.agent.report.evidence_frames import evidence_frame, jpeg
from videopath.agent.report.pdf_page import (
    ACCENT,
    BODY,
    CELL,
    DIAGNOSIS,
    HASHES,
    LABEL,
    SMALL,
    TITLE,
    WARNING,
    WARNING_WASH,
    WASH,
    WIDTH,
    Bar,
    document,
    grid,
    heading,
    labelled,
    register_fonts,
    text,
)
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
    DIFFERENTIAL_COLUMNS,
    NOT_PART,
    SECOND_COLUMNS,
    SIGNED_STAYS,
    STEP_COLUMNS,
    ReportSection,
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
from videopath.agent.report.values import change_in_words, moment
from videopath.core.clock import minute
from videopath.tools.context import ranks_in_words

_FRAME_SIZE = (62 * mm, 62 * mm)  # an evidence frame is never larger
_DPI = 220
_MIN_PROBABILITY = 0.001  # of a candidate that the differential shows
_MIN_CANDIDATES = 3  # that it shows whatever their probability
_LOCK = threading.Lock()  # all documents share ReportLab's fonts, which are read through one file position
_SETTLED = ("done", "signed")


def to_pdf(report: CaseReport) -> bytes:
    """Return the whole report as a PDF document. The same report with the same frames gives the same bytes."""
    with _LOCK:
        register_fonts()
        head = f"VideoPath case report · case {report.case_id} · {STATUS_IN_WORDS[report.status]}"
        parts = [part for section in write_sections(report, _WRITERS) for part in section]
        return document(parts, f"Case {report.case_id}", head, report.notice)


def time_in_words(time: str) -> str:
    """Return an ISO 8601 time in UTC as ``2026-01-31 14:25 UTC``; other texts are returned as they are."""
    return f"{minute(time)} UTC" if "T" in time and time.endswith("Z") else time


def _outcome(report: CaseReport) -> Iterator[Flowable]:
    yield text(f"Pathology {_kind(report)} report", TITLE)
    yield Spacer(1, 3)
    yield grid(("", "", ""), [_identity(report)], (1, 1, 1))
    yield Spacer(1, 8)
    is_settled = report.status in _SETTLED
    box = Table([[list(_headline(report))]], [WIDTH], splitInRow=1)
    box.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), WASH if is_settled else WARNING_WASH),
            ("LINEBEFORE", (0, 0), (0, -1), 3, ACCENT if is_settled else WARNING),
            ("LEFTPADDING", (0, 0), (-1, -1), 10),
            ("TOPPADDING", (0, 0), (-1, -1), 7),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
        ]
    )
    yield box
    if report.question:
        yield Spacer(1, 6)
        yield labelled("Question", question_in_words(report))
    if report.has_persons_diagnosis:
        yield from heading(AGENT_SAID)
        yield labelled("Diagnosis", agent_diagnosis_in_words(report) or "none")
        yield from _agent_confidence(report)
    if report.sent_to:
        yield Spacer(1, 6)
        yield labelled("Data sent", sent_away_sentence(report.sent_to))
    if report.rationale:
        yield Spacer(1, 6)
        yield labelled("Rationale of the model", report.rationale)
    if report.advice:
        apart = report.has_persons_diagnosis
        yield from heading("What would have helped the agent" if apart else ADVICE)
        yield from (text(f"•  {sentence}") for sentence in report.advice)


def _statements(report: CaseReport) -> Iterator[Flowable]:
    yield from heading(ReportSection.STATEMENTS.value)
    yield from (text(str(statement), CELL) for statement in statements(report))


def _identity(report: CaseReport) -> list[str | Flowable]:
    video = Path(report.video.path).name if report.video else "not read"
    return [
        labelled("Case", report.case_id, CELL),
        labelled(_kind(report).capitalize(), video, CELL),
        labelled("Examined", f"{time_in_words(report.created) or '–'} by {report.model or 'no model'}", CELL),
    ]


def _kind(report: CaseReport) -> str:
    return "image" if report.video and report.video.kind == "image" else "video"


def _headline(report: CaseReport) -> Iterator[Flowable]:
    yield text(f"{outcome_title(report)} · {STATUS_IN_WORDS[report.status]}", LABEL)
    yield text(diagnosis_in_words(report) or "none", DIAGNOSIS)
    if report.amended_diagnosis:
        yield labelled("Diagnosis of the latest addendum", report.amended_diagnosis)
    if report.site:
        yield labelled("Site", report.site)
    yield Spacer(1, 3)
    if not report.has_persons_diagnosis:
        yield from _agent_confidence(report)
    signature = report.review[-1] if report.review and report.status in ("signed", "rejected") else None
    if signature:
        verb = "Signed" if report.status == "signed" else "Rejected"
        yield Spacer(1, 4)
        yield labelled(
            f"{verb} by",
            f"{signature.reviewer or 'unnamed'}, {time_in_words(signature.decided) or 'no date'}",
        )
        if signature.comment:
            yield labelled("Comment", signature.comment)
    elif not report.review and _is_unsigned(report):
        yield Spacer(1, 4)
        yield text("Not signed by a person.", CELL)


def _agent_confidence(report: CaseReport) -> Iterator[Flowable]:
    """Write the agent's confidence in its own diagnosis, who vouches for it, and what each look said."""
    own = agent_diagnosis_in_words(report) or "no diagnosis"
    of = f" in {own}" if report.has_persons_diagnosis else ""
    sentence = f"Confidence of the agent{of}: {confidence_in_words(report)}"
    share = 0.0 if report.provenance.get("calibrated") is False else report.confidence
    row = Table([[Bar(share, 42 * mm), text(sentence, CELL)]], [46 * mm, 95 * mm])
    row.setStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (0, 0), 0)])
    row.hAlign = "LEFT"
    yield row
    if report.abstained:
        yield text(abstention_in_words(report), CELL)
    lines = [*vouchers_in_words(report), *looks_in_words(report), second_opinion_in_outcome(report)]
    yield from (text(line, CELL) for line in lines if line)


def _is_unsigned(report: CaseReport) -> bool:
    """Return whether the agent ended the case and nobody has signed it."""
    return report.status in ("done", "abstained")


def _description(report: CaseReport) -> Iterator[Flowable]:
    writer = writer_of("description", report)
    title = ReportSection.DESCRIPTION.value
    yield from heading(f"{title}, in the words of {writer}" if writer else title)
    yield text(report.description)


def _findings(report: CaseReport) -> Iterator[Flowable]:
    """Show each frame once, with the findings that it shows best."""
    yield from heading(ReportSection.FINDINGS.value)
    by_frame: dict[int, list[tuple[int, Finding]]] = {}
    numbered = list(enumerate(report.findings, 1))
    for number, finding in numbered:
        if not finding.has_moment:
            continue
        by_frame.setdefault(finding.frame, []).append((number, finding))
    still = report.video is not None and report.video.kind == "image"
    for findings in by_frame.values():
        first = findings[0][1]
        where = "still image" if still else f"{moment(first.seconds)}, frame {first.frame}"
        lines: list[Flowable] = [text(where, LABEL)]
        for number, finding in findings:
            lines += [Spacer(1, 2), text(f"{number}.  {finding.text}  ({basis_in_words(finding)})")]
        picture = _picture(report.folder, first.image)
        row = Table(
            [[picture or text("The frame is not kept here.", SMALL), lines]],
            [66 * mm, WIDTH - 66 * mm],
            splitInRow=1,
        )
        row.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)])
        yield KeepTogether(row)
        yield Spacer(1, 3)
    for number, finding in numbered:
        if not finding.has_moment:
            yield text(f"{number}.  {finding.text}  ({basis_in_words(finding)})")


def _picture(folder: Path | None, name: str | None) -> Image | None:
    """Return an evidence frame of the case folder, scaled to its place; None if it is missing or unreadable."""
    picture = evidence_frame(folder, name)
    if picture is None:
        return None
    scale = min(_FRAME_SIZE[0] / picture.width, _FRAME_SIZE[1] / picture.height)
    width, height = picture.width * scale, picture.height * scale
    pixels = int(width / 72 * _DPI), int(height / 72 * _DPI)
    if pixels[0] < picture.width:
        picture = picture.resize((max(pixels[0], 1), max(pixels[1], 1)), Picture.Resampling.LANCZOS)
    image = Image(jpeg(picture), width, height)
    image.hAlign = "LEFT"
    return image


def _differential(report: CaseReport) -> Iterator[Flowable]:
    own, others = by_organ(report.differential)
    likely = sum(candidate.probability >= _MIN_PROBABILITY for candidate in own)
    count = max(likely, _MIN_CANDIDATES)
    rows: list[Sequence[str | Flowable]] = [
        (
            candidate_in_words(c),
            Bar(c.probability, 30 * mm),
            f"{c.probability:.1%}",
            *shares_in_words(c),
            _named_by(c.support),
        )
        for c in own[:count]
    ]
    label, *numbers = DIFFERENTIAL_COLUMNS
    yield from heading(ReportSection.DIFFERENTIAL.value)
    yield grid(
        (label, "", *numbers),
        rows,
        (5, 3.4, 2, 1.8, 1.8, 3.6),
    )
    if others:
        named = ", ".join(f"{candidate_in_words(c)} {c.probability:.1%}" for c in others[:_MIN_CANDIDATES])
        more = " and others" if len(others) > _MIN_CANDIDATES else ""
        yield Spacer(1, 3)
        yield text(f"{other_organs_in_words(others)}: {named}{more}.", CELL)
    if left := len(own[count:]):
        further = "1 further candidate" if left == 1 else f"{left} further candidates, each"
        yield Spacer(1, 3)
        yield text(f"{further} below {_MIN_PROBABILITY:.1%}.", CELL)


def _named_by(support: Sequence[str]) -> str:
    cases = sum(source.startswith("neighbour:") for source in support)
    named = [source for source in support if not source.startswith("neighbour:")]
    named += [f"{cases} similar case{'s' if cases > 1 else ''}"] if cases else []
    return ", ".join(named) or "–"


def _similar_cases(report: CaseReport) -> Iterator[Flowable]:
    rows = [
        (
            "\n".join(part for part in (f"{case.score:.3f}", ranks_in_words(case.ranks)) if part),
            case.diagnosis,
            f"{'used' if case.kept else 'not used'}: {case.why or '–'}",
            case.description,
            case.id,
        )
        for case in report.similar_cases
    ]
    columns = ("similarity, ranks", "diagnosis", "as evidence", "description", "record")
    yield from heading(ReportSection.SIMILAR_CASES.value)
    yield grid(columns, rows, (2.7, 3.6, 3.2, 7.8, 3.2))


def _vote(report: CaseReport) -> Iterator[Flowable]:
    assert report.vote is not None
    yield Spacer(1, 5)
    yield text(vote_in_words(report.vote), CELL)
    yield grid(BALLOT_COLUMNS, ballots_in_words(report.vote), (5.5, 4, 4.5, 1.8, 1.6))


def _left_out(report: CaseReport) -> Iterator[Flowable]:
    for sentence in left_out_sentences(report):
        yield Spacer(1, 3)
        yield text(sentence, CELL)


def _blind(report: CaseReport) -> Iterator[Flowable]:
    yield Spacer(1, 5)
    yield labelled("Before the similar cases were seen", blind_in_words(report), CELL)
    yield labelled("The agent after them", agent_diagnosis_in_words(report) or "none", CELL)
    yield text(retrieval_sentence(report), CELL)


def _second_opinion(report: CaseReport) -> Iterator[Flowable]:
    assert report.second_opinion is not None
    yield from heading(ReportSection.SECOND_OPINION.value)
    yield text(second_opinion_in_words(report))
    likely = [c for c in report.second_opinion.differential if c.probability >= _MIN_PROBABILITY]
    if likely:
        rows: list[Sequence[str | Flowable]] = [
            (candidate_in_words(c), Bar(c.probability, 30 * mm), f"{c.probability:.1%}", _named_by(c.support))
            for c in likely
        ]
        label, *numbers = SECOND_COLUMNS
        yield grid((label, "", *numbers), rows, (6, 3.4, 2, 4.6))
    yield Spacer(1, 3)
    yield _fields(second_opinion_rows(report))


def _review(report: CaseReport) -> Iterator[Flowable]:
    title = heading(ReportSection.REVIEW.value)
    for number, decision in enumerate(report.review, 1):
        who = f"{number}. {decision.action} by {decision.reviewer or 'an unnamed reviewer'}"
        parts: list[Flowable] = [*title, labelled(who, time_in_words(decision.decided), BODY)]
        title = []
        if decision.comment:
            parts.append(text(decision.comment))
        rows = [
            (field.replace("_", " "), *_both_sides(change["from"], change["to"]))
            for field, change in decision.changes.items()
        ]
        if rows:
            parts += [Spacer(1, 2), grid(("changed", "from", "to"), rows, (2, 6, 6))]
        yield KeepTogether([*parts, Spacer(1, 4)])


def _addenda(report: CaseReport) -> Iterator[Flowable]:
    title = [*heading(ReportSection.ADDENDA.value), text(SIGNED_STAYS, SMALL)]
    for addendum in report.addenda:
        parts: list[Flowable] = [
            *title,
            labelled(f"Added by {addendum.reviewer}", time_in_words(addendum.added), BODY),
        ]
        title = []
        if addendum.diagnosis:
            parts.append(labelled("Diagnosis", addendum.diagnosis, BODY))
        yield KeepTogether([*parts, text(addendum.text), Spacer(1, 4)])


def _questions(report: CaseReport) -> Iterator[Flowable]:
    title = [*heading(ReportSection.QUESTIONS.value), text(NOT_PART, SMALL)]
    for asked in report.questions:
        parts = [labelled("Question", asked.question, BODY), text(follow_up_in_words(asked))]
        yield KeepTogether([*title, *parts, text(follow_up_source(asked), SMALL), Spacer(1, 4)])
        title = []


def _both_sides(before: Any, after: Any) -> tuple[str, str]:
    """Return both sides of a change. A list has a line for each entry, marked if the other side lacks it."""
    lists = isinstance(before, list) and isinstance(after, list)
    if not lists or not all(isinstance(entry, str) for entry in (*before, *after)):
        return change_in_words(before), change_in_words(after)
    removed = (f"{'' if entry in after else '− '}{entry}" for entry in before)
    added = (f"{'' if entry in before else '+ '}{entry}" for entry in after)
    return "\n".join(removed) or "none", "\n".join(added) or "none"


def _video(report: CaseReport) -> Iterator[Flowable]:
    yield from heading(ReportSection.VIDEO.value)
    for sentence in writing_sentences(report):
        yield text(sentence)
        yield Spacer(1, 4)
    yield _fields([(name.replace("_", " "), value) for name, value in video_rows(report)])


def _steps(report: CaseReport) -> Iterator[Flowable]:
    yield from heading(ReportSection.STEPS.value)
    yield grid(STEP_COLUMNS, step_rows(report), (0.8, 3.2, 2, 1.6, 12))


def _provenance(report: CaseReport) -> Iterator[Flowable]:
    yield from heading(ReportSection.PROVENANCE.value)
    yield _fields(provenance_rows(report))


def _fields(rows: Sequence[tuple[str, str]]) -> Table:
    return grid(("", ""), [(text(name, LABEL), text(value, HASHES)) for name, value in rows], (1, 2.5))


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
