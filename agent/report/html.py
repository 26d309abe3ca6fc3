"""The report as one HTML file, to mail: no script, no network access, no other file.

The evidence frames are in the file as JPEG. The file's own policy forbids scripts and all requests, and allows only its
own style sheet. The template escapes every text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from videopath.agent.cases.records import CaseReport, Finding, Step
from videopath.agent.report.evidence_frames import evidence_frame, jpeg
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
    ReportSection,
    change_rows,
    provenance_rows,
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
from videopath.core.clock import minute
from videopath.tools.context import ranks_in_words
from videopath.tools.schemas import Candidate

_HERE = Path(__file__).parent
_SIDE = 1280  # pixels of an evidence frame's longer side
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Lines:
    """Texts below each other."""

    lines: Sequence[str]
    look: Literal["plain", "strong", "list", "quote", "note"] = "plain"
    kind: str = "lines"


@dataclass(frozen=True)
class Title:
    """The title of a part of a section."""

    title: str
    kind: str = "title"


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    rows: Sequence[tuple[str, str]]
    kind: str = "facts"


@dataclass(frozen=True)
class Rows:
    """A table. A cell is a text, or a share that is drawn as a bar beside its per cent."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float]]
    kind: str = "rows"


@dataclass(frozen=True)
class Frame:
    """An evidence frame with the findings that it shows best."""

    where: str
    findings: Sequence[tuple[str, str]]
    """Text, and what it rests on."""
    picture: str | None = None
    """A data address; None: the frame is not kept."""
    has_place: bool = True
    kind: str = "frame"


@dataclass(frozen=True)
class Fold:
    """Parts that are shown if a reader unfolds them."""

    summary: str
    blocks: Sequence[Block]
    kind: str = "fold"


Block = Lines | Title | Facts | Rows | Frame | Fold


@dataclass(frozen=True)
class _Part:
    """A section of the report with its blocks."""

    section: ReportSection
    blocks: Sequence[Block]
    level: Literal[2, 3] = 2

    @property
    def key(self) -> str:
        """The name of the section in addresses."""
        return self.section.name.lower().replace("_", "-")


def to_html(report: CaseReport) -> str:
    """Return the whole report as one HTML document. The same report with the same frames gives the same text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style = (_HERE / "case.css").read_text(encoding="utf-8")
    pages = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    pages.tests["share"] = lambda cell: isinstance(cell, float)
    parts = list(write_sections(report, _WRITERS))
    return pages.get_template("case.html.jinja").render(
        report=report,
        headline=_headline(report),
        parts=parts,
        main=[part for part in parts if part.level == 2],
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _printable(value: Any) -> Any:
    """Replace characters that HTML does not allow, and those that turn the direction of the text around."""
    from markupsafe import Markup

    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(
        c if c.isprintable() or c in "\n\t" else " " if c.isspace() else _UNPRINTABLE for c in value
    )


@dataclass(frozen=True)
class _Headline:
    """The box at the head of the report."""

    title: str
    diagnosis: str
    status: str
    settled: bool
    facts: Sequence[tuple[str, str]]


def _headline(report: CaseReport) -> _Headline:
    facts = [("Case", report.case_id)]
    if report.video is not None:
        kind = "Image" if report.video.kind == "image" else "Video"
        facts.append((kind, Path(report.video.path).name))
    if report.site:
        facts.append(("Site", report.site))
    facts.append(("Examined", f"{_time(report.created)} by {report.model or 'no model'}"))
    if report.review and report.status in ("signed", "rejected"):
        last = report.review[-1]
        verb = "Signed" if report.status == "signed" else "Rejected"
        comment = f": {last.comment}" if last.comment else ""
        facts.append((verb, f"by {last.reviewer or 'an unnamed reviewer'}, {_time(last.decided)}{comment}"))
    elif report.status in ("done", "abstained"):
        facts.append(("Signed", "not signed by a person"))
    return _Headline(
        outcome_title(report),
        diagnosis_in_words(report) or "none",
        STATUS_IN_WORDS[report.status],
        report.status in ("done", "signed"),
        facts,
    )


def _outcome(report: CaseReport) -> _Part:
    blocks: list[Block] = []
    if report.amended_diagnosis:
        blocks.append(Facts([("Diagnosis of the latest addendum", report.amended_diagnosis)]))
    if report.question:
        blocks.append(Facts([("Question", question_in_words(report))]))
    apart = report.has_persons_diagnosis  # then the agent's confidence and advice belong to its own diagnosis
    agents: list[tuple[str, str]] = []
    if apart:
        blocks.append(Title(AGENT_SAID))
        agents.append(("Diagnosis", agent_diagnosis_in_words(report) or "none"))
    if report.diagnosis:
        agents.append(("Confidence", confidence_in_words(report)))
    agents += [("Who vouches", sentence) for sentence in vouchers_in_words(report)]
    if agents:
        blocks.append(Facts(agents))
    lines = [abstention_in_words(report), *looks_in_words(report), second_opinion_in_outcome(report)]
    blocks.append(Lines([line for line in lines if line]))
    if report.sent_to:
        blocks.append(Lines([sent_away_sentence(report.sent_to)], "strong"))
    if report.advice:
        blocks += [Title(ADVICE), Lines(report.advice, "list")]
    if report.rationale:
        blocks += [Title("Rationale"), Lines(report.rationale.splitlines(), "quote")]
    return _Part(ReportSection.OUTCOME, blocks)


def _statements(report: CaseReport) -> _Part:
    rows = [
        (s.who, minute(s.when) if s.when else "–", s.act or "–", s.diagnosis or "–", s.comment or "–")
        for s in statements(report)
    ]
    name = ReportSection.STATEMENTS.value
    return _Part(ReportSection.STATEMENTS, [Rows(name, STATEMENT_COLUMNS, rows)])


def _description(report: CaseReport) -> _Part:
    writer = writer_of("description", report)
    head = [Lines([f"In the words of {writer}:"])] if writer else []
    return _Part(ReportSection.DESCRIPTION, [*head, Lines(report.description.splitlines(), "quote")])


def _findings(report: CaseReport) -> _Part:
    """Show each frame once, with the findings that it shows best."""
    by_frame: dict[int, list[Finding]] = {}
    without: list[Finding] = []
    for finding in report.findings:
        if finding.has_moment:
            by_frame.setdefault(finding.frame, []).append(finding)
        else:
            without.append(finding)
    still = report.video is not None and report.video.kind == "image"
    blocks: list[Block] = []
    for frame, findings in by_frame.items():
        where = "still image" if still else f"{moment(findings[0].seconds)}, frame {frame}"
        image = next((one.image for one in findings if one.image), None)
        blocks.append(Frame(where, _with_basis(findings), _data_address(report.folder, image)))
    if without:
        blocks.append(Frame("", _with_basis(without), has_place=False))
    return _Part(ReportSection.FINDINGS, blocks)


def _with_basis(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.text, basis_in_words(finding)) for finding in findings]


def _data_address(folder: Path | None, name: str | None) -> str | None:
    """Return an evidence frame as a data address, no larger than a screen shows it."""
    picture = evidence_frame(folder, name)
    if picture is None:
        return None
    picture.thumbnail((_SIDE, _SIDE))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(picture).getvalue()).decode()


def _differential(report: CaseReport) -> _Part:
    own, others = by_organ(report.differential)
    blocks: list[Block] = [_candidates(ReportSection.DIFFERENTIAL.value, own)]
    if others:
        summary = f"{OTHER_ORGANS}: {other_organs_in_words(others)}"
        blocks.append(Fold(summary, [_candidates(OTHER_ORGANS, others)]))
    return _Part(ReportSection.DIFFERENTIAL, blocks)


def _candidates(name: str, candidates: Sequence[Candidate]) -> Rows:
    rows = [
        (candidate_in_words(c), float(c.probability), *shares_in_words(c), "; ".join(c.support) or "–")
        for c in candidates
    ]
    return Rows(name, DIFFERENTIAL_COLUMNS, rows)


def _similar_cases(report: CaseReport) -> _Part:
    columns = ("case", "similarity", "diagnosis", "used", "why")
    rows = [
        (case.id, f"{case.score:.3f}", case.diagnosis, "yes" if case.kept else "no", case.why or "–")
        for case in report.similar_cases
    ]
    folded = [
        Fold(
            f"{case.id}: {case.diagnosis}",
            [
                Facts([("source", case.source), ("ranks", ranks_in_words(case.ranks) or "–")]),
                Lines(case.description.splitlines(), "quote"),
            ],
        )
        for case in report.similar_cases
    ]
    name = ReportSection.SIMILAR_CASES.value
    return _Part(ReportSection.SIMILAR_CASES, [Rows(name, columns, rows), *folded])


def _vote(report: CaseReport) -> _Part:
    assert report.vote is not None
    ballots = Rows(ReportSection.VOTE.value, BALLOT_COLUMNS, ballots_in_words(report.vote))
    count = len(report.vote.ballots)
    votes = Fold(f"{count} vote{'s' if count > 1 else ''}", [ballots])
    return _Part(ReportSection.VOTE, [Lines([vote_in_words(report.vote)]), votes], level=3)


def _left_out(report: CaseReport) -> _Part:
    return _Part(ReportSection.LEFT_OUT, [Lines(left_out_sentences(report))], level=3)


def _blind(report: CaseReport) -> _Part:
    last = agent_diagnosis_in_words(report) or "none"
    facts = Facts([("Blind", blind_in_words(report)), ("Final", last)])
    return _Part(ReportSection.BLIND, [facts, Lines([retrieval_sentence(report)])], level=3)


def _second_opinion(report: CaseReport) -> _Part:
    assert report.second_opinion is not None
    blocks: list[Block] = [Lines([second_opinion_in_words(report)])]
    if candidates := report.second_opinion.differential:
        rows = [
            (candidate_in_words(c), float(c.probability), "; ".join(c.support) or "–") for c in candidates
        ]
        blocks.append(Rows(ReportSection.SECOND_OPINION.value, SECOND_COLUMNS, rows))
    return _Part(ReportSection.SECOND_OPINION, [*blocks, Facts(second_opinion_rows(report))])


def _review(report: CaseReport) -> _Part:
    columns = ("when", "who", "decision", "diagnosis", "comment")
    rows = [
        (_time(d.decided), d.reviewer or "–", d.action, d.diagnosis or "–", d.comment or "–")
        for d in report.review
    ]
    blocks: list[Block] = [Rows(ReportSection.REVIEW.value, columns, rows)]
    if changes := change_rows(report):
        blocks += [Title(CHANGES), Rows(CHANGES, CHANGE_COLUMNS, changes)]
    return _Part(ReportSection.REVIEW, blocks)


def _addenda(report: CaseReport) -> _Part:
    blocks: list[Block] = [Lines([SIGNED_STAYS])]
    for addendum in report.addenda:
        blocks.append(Title(f"{_time(addendum.added)}, {addendum.reviewer}"))
        if addendum.diagnosis:
            blocks.append(Facts([("Diagnosis", addendum.diagnosis)]))
        blocks.append(Lines(addendum.text.splitlines(), "quote"))
    return _Part(ReportSection.ADDENDA, blocks)


def _questions(report: CaseReport) -> _Part:
    blocks: list[Block] = [Lines([NOT_PART])]
    for asked in report.questions:
        blocks += [
            Title(asked.question or "A question that cannot be read"),
            Lines(follow_up_in_words(asked).splitlines(), "quote"),
            Lines([follow_up_source(asked)], "note"),
        ]
    return _Part(ReportSection.QUESTIONS, blocks)


def _video(report: CaseReport) -> _Part:
    rows = [(name.replace("_", " "), value) for name, value in video_rows(report)]
    return _Part(ReportSection.VIDEO, [Lines(writing_sentences(report)), Facts(rows)])


def _steps(report: CaseReport) -> _Part:
    return _Part(
        ReportSection.STEPS, [_step(number, step) for number, step in enumerate(report.steps, start=1)]
    )


def _step(number: int, step: Step) -> Fold:
    """Return a step, folded to its name; its summary, hashes and evidence are below it."""
    rows = [
        ("seconds", f"{step.seconds:.2f}"),
        ("started", _time(step.started)),
        ("model", step.model or "–"),
        ("device", step.device or "–"),
        *((f"SHA-256 of {name}", value) for name, value in step.hashes.items()),
        ("rests on", ", ".join(step.evidence) or "–"),
    ]
    title = f"{number}. {step.name.replace('_', ' ')} – {_first(step.summary)}"
    return Fold(title, [Lines(step.summary.splitlines()), Facts(rows)])


def _first(summary: str, length: int = 120) -> str:
    line = next(iter(summary.splitlines()), "")
    return line if len(line) <= length else f"{line[:length].rstrip()}…"


def _provenance(report: CaseReport) -> _Part:
    rows = provenance_rows(report)
    return _Part(ReportSection.PROVENANCE, [Fold("Model, hashes and versions", [Facts(rows)])])


def _time(time: str) -> str:
    """Return an ISO 8601 time in UTC as ``2026-01-31 14:25 UTC``; other texts are returned as they are."""
    return f"{minute(time)} UTC" if "T" in time and time.endswith("Z") else time or "–"


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
