"""The report as PDF, as it would be handed on: the outcome first, then what it rests on, then how it was found."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from PIL import UnidentifiedImageError
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, KeepTogether, Spacer, Table

from videopath.agent.cases.records import CaseReport, Decision, Finding
from videopath.agent.report.markdown import (
    STATUS,
    confidence_in_words,
    flat,
    left_out_sentences,
    moment,
    ranks_of,
    shown_change,
    shown_value,
)
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
    BALLOTS,
    abstention_in_words,
    ballots_in_words,
    basis_in_words,
    blind_in_words,
    by_organ,
    candidate_in_words,
    diagnosis_in_words,
    looks_in_words,
    marked,
    other_organs_in_words,
    outcome_title,
    question_in_words,
    readers_in_words,
    vote_in_words,
    vouchers_in_words,
)
from videopath.agent.report.statements import agent_diagnosis, retrieval_sentence, statements, writer_of

_FRAME = (62 * mm, 62 * mm)  # the largest that an evidence frame is shown
_DPI = 220
_LEAST_SHOWN, _SHOWN_ANYWAY = 0.001, 3  # of the differential: probability, and candidates whatever theirs
_TURN = threading.Lock()  # ReportLab's fonts are shared by all documents and read through one position
_SETTLED = ("done", "signed")


def to_pdf(report: CaseReport) -> bytes:
    """The whole report as a PDF document; the same report with the same frames gives the same bytes."""
    with _TURN:
        register_fonts()
        head = f"VideoPath case report · case {report.case_id} · {STATUS[report.status]}"
        return document(_parts(report), f"Case {report.case_id}", head, report.notice)


def _parts(report: CaseReport) -> list[Flowable]:
    return [
        *_outcome(report),
        *_description(report),
        *_findings(report),
        *_differential(report),
        *_similar_cases(report),
        *_review(report.review),
        *_addenda(report),
        *_video(report),
        *_steps(report),
        *_provenance(report),
    ]


def day(moment_utc: str) -> str:
    """An ISO time as ``2026-01-31 14:25 UTC``; what is none is given back."""
    date, separator, clock = moment_utc.partition("T")
    return f"{date} {clock[:5]} UTC" if separator and moment_utc.endswith("Z") else moment_utc


def _outcome(report: CaseReport) -> Iterator[Flowable]:
    yield text(f"Pathology {_kind(report)} report", TITLE)
    yield Spacer(1, 3)
    yield grid(("", "", ""), [_identity(report)], (1, 1, 1))
    yield Spacer(1, 8)
    settled = report.status in _SETTLED
    box = Table([[list(_verdict(report))]], [WIDTH], splitInRow=1)
    box.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), WASH if settled else WARNING_WASH),
            ("LINEBEFORE", (0, 0), (0, -1), 3, ACCENT if settled else WARNING),
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
        yield from heading("What the agent said")
        yield labelled("Diagnosis", marked(report, agent_diagnosis(report)) or "none")
        yield from _sureness(report)
    if report.rationale:
        yield Spacer(1, 6)
        yield labelled("Rationale of the model", report.rationale)
    if report.advice:
        apart = report.has_persons_diagnosis
        yield from heading("What would have helped the agent" if apart else "What would help")
        yield from (text(f"•  {sentence}") for sentence in report.advice)
    if report.review or report.addenda:
        yield from heading("Who said what")
        yield from (text(str(statement), CELL) for statement in statements(report))


def _identity(report: CaseReport) -> list[str | Flowable]:
    video = Path(report.video.path).name if report.video else "not read"
    return [
        labelled("Case", report.case_id, CELL),
        labelled(_kind(report).capitalize(), video, CELL),
        labelled("Examined", f"{day(report.created) or '–'} by {report.model or 'no model'}", CELL),
    ]


def _kind(report: CaseReport) -> str:
    return "image" if report.video and report.video.kind == "image" else "video"


def _verdict(report: CaseReport) -> Iterator[Flowable]:
    yield text(f"{outcome_title(report)} · {STATUS[report.status]}", LABEL)
    yield text(diagnosis_in_words(report) or "none", DIAGNOSIS)
    if report.amended_diagnosis:
        yield labelled("Diagnosis of the latest addendum", report.amended_diagnosis)
    if report.site:
        yield labelled("Site", report.site)
    yield Spacer(1, 3)
    if not report.has_persons_diagnosis:
        yield from _sureness(report)
    signature = report.review[-1] if report.review and report.status in ("signed", "rejected") else None
    if signature:
        verb = "Signed" if report.status == "signed" else "Rejected"
        yield Spacer(1, 4)
        yield labelled(
            f"{verb} by", f"{signature.reviewer or 'unnamed'}, {day(signature.decided) or 'no date'}"
        )
        if signature.comment:
            yield labelled("Comment", signature.comment)
    elif not report.review and settled_by_agent(report):
        yield Spacer(1, 4)
        yield text("Not signed by a person.", CELL)


def _sureness(report: CaseReport) -> Iterator[Flowable]:
    """How sure the agent is of its own diagnosis."""
    own = marked(report, agent_diagnosis(report)) or "no diagnosis"
    of = f" in {own}" if report.has_persons_diagnosis else ""
    sure = f"Confidence of the agent{of}: {confidence_in_words(report)}"
    share = 0.0 if report.provenance.get("calibrated") is False else report.confidence
    row = Table([[Bar(share, 42 * mm), text(sure, CELL)]], [46 * mm, 95 * mm])
    row.setStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (0, 0), 0)])
    row.hAlign = "LEFT"
    yield row
    if report.abstained:
        yield text(abstention_in_words(report), CELL)
    yield from (text(line, CELL) for line in (*vouchers_in_words(report), *looks_in_words(report)))


def settled_by_agent(report: CaseReport) -> bool:
    """Whether the agent ended the case and nobody has signed it."""
    return report.status in ("done", "abstained")


def _description(report: CaseReport) -> Iterator[Flowable]:
    if report.description:
        writer = writer_of("description", report)
        yield from heading(f"Description, in the words of {writer}" if writer else "Description")
        yield text(report.description)


def _findings(report: CaseReport) -> Iterator[Flowable]:
    """Each frame once, with the findings that it shows best."""
    if not report.findings:
        return
    yield from heading("Findings, and the frame that shows each that was seen")
    by_frame: dict[int, list[tuple[int, Finding]]] = {}
    numbered = list(enumerate(report.findings, 1))
    for number, finding in numbered:
        if not finding.was_seen:
            continue
        by_frame.setdefault(finding.frame, []).append((number, finding))
    still = report.video is not None and report.video.kind == "image"
    for shown in by_frame.values():
        first = shown[0][1]
        where = "still image" if still else f"{moment(first.seconds)}, frame {first.frame}"
        lines: list[Flowable] = [text(where, LABEL)]
        for number, finding in shown:
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
        if not finding.was_seen:
            yield text(f"{number}.  {finding.text}  ({basis_in_words(finding)})")


def _picture(folder: Path | None, name: str | None) -> Image | None:
    """An evidence frame of the case folder, small enough for its place; none where it is missing or unreadable."""
    if folder is None or name is None or not (folder / name).resolve().is_relative_to(folder.resolve()):
        return None
    try:
        with Picture.open(folder / name) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError):
        return None
    scale = min(_FRAME[0] / picture.width, _FRAME[1] / picture.height)
    width, height = picture.width * scale, picture.height * scale
    pixels = int(width / 72 * _DPI), int(height / 72 * _DPI)
    if pixels[0] < picture.width:
        picture = picture.resize((max(pixels[0], 1), max(pixels[1], 1)), Picture.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    buffer.seek(0)
    shown = Image(buffer, width, height)
    shown.hAlign = "LEFT"
    return shown


def _differential(report: CaseReport) -> Iterator[Flowable]:
    if not report.differential:
        return
    own, others = by_organ(report.differential)
    likely = sum(candidate.probability >= _LEAST_SHOWN for candidate in own)
    shown = max(likely, _SHOWN_ANYWAY)
    rows: list[Sequence[str | Flowable]] = [
        (
            candidate_in_words(c),
            Bar(c.probability, 30 * mm),
            f"{c.probability:.1%}",
            *readers_in_words(c),
            _named_by(c.support),
        )
        for c in own[:shown]
    ]
    yield from heading("Differential diagnosis")
    yield grid(
        ("diagnosis", "", "probability", "by the model", "by the cases", "named by"),
        rows,
        (5, 3.4, 2, 1.8, 1.8, 3.6),
    )
    if others:
        named = ", ".join(f"{candidate_in_words(c)} {c.probability:.1%}" for c in others[:_SHOWN_ANYWAY])
        more = " and others" if len(others) > _SHOWN_ANYWAY else ""
        yield Spacer(1, 3)
        yield text(f"{other_organs_in_words(others)}: {named}{more}.", CELL)
    if left := len(own[shown:]):
        further = "1 further candidate" if left == 1 else f"{left} further candidates, each"
        yield Spacer(1, 3)
        yield text(f"{further} below {_LEAST_SHOWN:.1%}.", CELL)


def _named_by(support: Sequence[str]) -> str:
    cases = sum(source.startswith("neighbour:") for source in support)
    named = [source for source in support if not source.startswith("neighbour:")]
    named += [f"{cases} similar case{'s' if cases > 1 else ''}"] if cases else []
    return ", ".join(named) or "–"


def _similar_cases(report: CaseReport) -> Iterator[Flowable]:
    if report.similar_cases:
        yield from heading("Similar cases of the knowledge base")
        rows = [
            (
                "\n".join(part for part in (f"{case.score:.3f}", ranks_of(case)) if part),
                case.diagnosis,
                f"{'used' if case.kept else 'not used'}: {case.why or '–'}",
                case.description,
                case.id,
            )
            for case in report.similar_cases
        ]
        yield grid(
            ("similarity, ranks", "diagnosis", "as evidence", "description", "record"),
            rows,
            (2.7, 3.6, 3.2, 7.8, 3.2),
        )
    if report.vote:
        yield Spacer(1, 5)
        yield text(vote_in_words(report.vote), CELL)
        yield grid(BALLOTS, ballots_in_words(report.vote), (5.5, 4, 4.5, 1.8, 1.6))
    for sentence in left_out_sentences(report):
        yield Spacer(1, 3)
        yield text(sentence, CELL)
    if report.blind_diagnosis:
        yield Spacer(1, 5)
        yield labelled("Before the similar cases were seen", blind_in_words(report), CELL)
        yield labelled("The agent after them", marked(report, agent_diagnosis(report)) or "none", CELL)
        yield text(retrieval_sentence(report), CELL)


def _review(decisions: Sequence[Decision]) -> Iterator[Flowable]:
    title = heading("Review by a person")
    for number, decision in enumerate(decisions, 1):
        who = f"{number}. {decision.action} by {decision.reviewer or 'an unnamed reviewer'}"
        parts: list[Flowable] = [*title, labelled(who, day(decision.decided), BODY)]
        title = []
        if decision.comment:
            parts.append(text(decision.comment))
        rows = [
            (field.replace("_", " "), *_difference(change["from"], change["to"]))
            for field, change in decision.changes.items()
        ]
        if rows:
            parts += [Spacer(1, 2), grid(("changed", "from", "to"), rows, (2, 6, 6))]
        yield KeepTogether([*parts, Spacer(1, 4)])


def _addenda(report: CaseReport) -> Iterator[Flowable]:
    title = heading("Addenda: what was signed stays as it is above")
    for added in report.addenda:
        parts: list[Flowable] = [*title, labelled(f"Added by {added.reviewer}", day(added.added), BODY)]
        title = []
        if added.diagnosis:
            parts.append(labelled("Diagnosis", added.diagnosis, BODY))
        yield KeepTogether([*parts, text(added.text), Spacer(1, 4)])


def _difference(before: Any, after: Any) -> tuple[str, str]:
    """Both sides; of lists each entry on its own line, marked where the other side does not have it."""
    lists = isinstance(before, list) and isinstance(after, list)
    if not lists or not all(isinstance(entry, str) for entry in (*before, *after)):
        return shown_change(before), shown_change(after)
    gone = (f"{'' if entry in after else '− '}{entry}" for entry in before)
    come = (f"{'' if entry in before else '+ '}{entry}" for entry in after)
    return "\n".join(gone) or "none", "\n".join(come) or "none"


def _video(report: CaseReport) -> Iterator[Flowable]:
    video = report.video
    if video is None:
        return
    rows = [("file", video.path), ("SHA-256", video.sha256), ("size", f"{video.width} × {video.height}")]
    if video.kind != "image":
        rows.append(("length", f"{moment(video.duration)} at {video.fps:.4g} frames per second"))
        rows.append(("moments seen", ", ".join(moment(second) for second in video.seconds)))
    seen = f"{len(video.indices)} of {video.total_frames}, {video.sampling} sampling, {video.reader}"
    rows.append(("frames seen", seen))
    rows += [
        (f"quality: {name}".replace("_", " "), shown_value(value)) for name, value in flat(report.quality)
    ]
    yield from heading(f"{_kind(report).capitalize()} and its quality")
    if report.burned_in.get("writings"):
        yield text(report.burned_in["sentence"])
        yield Spacer(1, 4)
    yield _facts(rows)


def _steps(report: CaseReport) -> Iterator[Flowable]:
    if report.steps:
        rows = [
            (str(number), step.name, f"{step.seconds:.2f}", step.device or "–", step.summary)
            for number, step in enumerate(report.steps, 1)
        ]
        yield from heading("Steps")
        yield grid(("#", "step", "seconds", "device", "outcome"), rows, (0.8, 3.2, 2, 1.6, 12))


def _provenance(report: CaseReport) -> Iterator[Flowable]:
    rows = [("model", report.model or "–"), ("created", report.created or "–")]
    rows += [(name, shown_value(value)) for name, value in flat(report.provenance)]
    yield from heading("Provenance")
    yield _facts(rows)


def _facts(rows: Sequence[tuple[str, Any]]) -> Table:
    return grid(("", ""), [(text(name, LABEL), text(str(value), HASHES)) for name, value in rows], (1, 2.5))
