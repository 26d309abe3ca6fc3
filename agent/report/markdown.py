"""The report for people: Markdown, read from top to bottom as a pathologist would ask.

Texts from a model, a file name or a reviewer are escaped: they can neither break a table nor bring in HTML or links.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from videopath.agent.cases.records import (
    CaseReport,
    Decision,
    Finding,
    LeftOut,
    SimilarCase,
    Step,
    VideoFacts,
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
from videopath.tools.context import ranks_in_words
from videopath.tools.schemas import Candidate

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&!@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_LIST_LIKE = re.compile(r"^(\s*)([-+=]|\d+[.)])(\s|$)")
_NAMED = 5  # records that could not be used, by name; more are counted
STATUS = {
    "running": "not finished",
    "waiting for review": "waiting for a person's review",
    "abstained": "abstained",
    "done": "done",
    "signed": "signed by a person",
    "rejected": "rejected by a person",
    "failed": "failed",
}


def to_markdown(report: CaseReport) -> str:
    """The whole report as Markdown text."""
    parts = [
        f"# Case {_inline(report.case_id)}",
        f"> **{_inline(report.notice)}**",
        _outcome(report),
        _said(report),
        _description(report),
        _differential(report),
        _similar_cases(report),
        _not_used(report),
        _blind(report),
        _review(report.review),
        _addenda(report),
        _video(report),
        _steps(report.steps),
        _provenance(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def moment(seconds: float) -> str:
    """A presentation time as minutes and seconds: ``1:04.50``."""
    minutes, rest = divmod(max(round(seconds, 2), 0.0), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def _outcome(report: CaseReport) -> str:
    lines = [f"**Status:** {STATUS[report.status]}"]
    if report.diagnosis:
        lines.append(f"**{outcome_title(report)}:** {_inline(diagnosis_in_words(report))}")
    if report.amended_diagnosis:
        lines.append(f"**Diagnosis of the latest addendum:** {_inline(report.amended_diagnosis)}")
    apart = report.has_persons_diagnosis  # the agent's confidence and advice are not of a person's diagnosis
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
        agents = _inline(marked(report, agent_diagnosis(report)) or "none")
        parts += [
            "### What the agent said",
            f"**Diagnosis:** {agents}  \n**Confidence:** {confidence_in_words(report)}",
            *map(_inline, vouchers_in_words(report)),
        ]
    if report.abstained:
        parts.append(abstention_in_words(report))
    parts += map(_inline, looks_in_words(report))
    if report.advice:
        parts += ["What would help:", "\n".join(f"- {_inline(sentence)}" for sentence in report.advice)]
    if report.rationale:
        parts.append(f"**Rationale.** {_inline(report.rationale)}")
    return "\n\n".join(parts)


def _said(report: CaseReport) -> str:
    """Who said what, in order; nothing where the agent alone spoke."""
    if not (report.review or report.addenda):
        return ""
    rows = (
        (
            _inline(s.who),
            _inline(s.when) or "–",
            s.act or "–",
            _inline(s.diagnosis) or "–",
            _inline(s.comment) or "–",
        )
        for s in statements(report)
    )
    return "## Who said what\n\n" + _table(("who", "when", "decision", "diagnosis", "comment"), rows)


def confidence_in_words(report: CaseReport) -> str:
    """The agent's confidence and who vouches for it; no number where the model's confidence was never fitted.

    Reports from before this was recorded say the number alone.
    """
    calibrated = report.provenance.get("calibrated")
    if calibrated is False:
        return "none, since this model is not calibrated"
    return f"{report.confidence:.0%}" + (" (calibrated)" if calibrated else "")


def _addenda(report: CaseReport) -> str:
    if not report.addenda:
        return ""
    parts = [
        f"### {_inline(added.added)}, {_inline(added.reviewer)}\n\n"
        + (f"**Diagnosis:** {_inline(added.diagnosis)}\n\n" if added.diagnosis else "")
        + _quote(added.text)
        for added in report.addenda
    ]
    return "## Addenda\n\nWhat was signed stays as it is above.\n\n" + "\n\n".join(parts)


def _description(report: CaseReport) -> str:
    if not report.description:
        return ""
    writer = writer_of("description", report)
    text = f"## Description\n\n{f'In the words of {_inline(writer)}:{chr(10)}{chr(10)}' if writer else ''}"
    text += _quote(report.description)
    if report.findings:
        still = report.video is not None and report.video.kind == "image"
        text += "\n\n### Findings, and the moment that shows each that was seen\n\n"
        rows = (_finding_row(f, still) for f in report.findings)
        text += _table(("moment", "frame", "finding", "rests on"), rows)
    return text


def _finding_row(finding: Finding, still: bool) -> tuple[str, str, str, str]:
    words = _inline(finding.text), _inline(basis_in_words(finding))
    if not finding.was_seen:
        return "–", "–", *words
    frame = f"[{finding.frame}]({finding.image})" if finding.image else str(finding.frame)
    return "still image" if still else moment(finding.seconds), frame, *words


def _differential(report: CaseReport) -> str:
    if not report.differential:
        return ""
    own, others = by_organ(report.differential)
    text = "## Differential\n\n" + _candidates(own)
    if others:
        text += f"\n\n### Of other organs\n\n{other_organs_in_words(others)}:\n\n{_candidates(others)}"
    return text


def _candidates(candidates: Sequence[Candidate]) -> str:
    rows = (
        (
            _inline(candidate_in_words(c)),
            f"{c.probability:.1%}",
            *readers_in_words(c),
            _inline("; ".join(c.support)) or "–",
        )
        for c in candidates
    )
    return _table(("diagnosis", "probability", "by the model", "by the cases", "support"), rows)


def _similar_cases(report: CaseReport) -> str:
    if not (report.similar_cases or report.vote):
        return ""
    rows = (
        (
            _inline(case.id),
            f"{case.score:.3f}",
            ranks_of(case) or "–",
            _inline(case.diagnosis),
            "yes" if case.kept else "no",
            _inline(case.why) or "–",
            _inline(case.description),
        )
        for case in report.similar_cases
    )
    head = ("case", "similarity", "ranks", "diagnosis", "used", "why", "description")
    text = "## Similar cases\n\n" + (_table(head, rows) if report.similar_cases else "")
    if report.vote is None:
        return text
    ballots = (tuple(map(_inline, row)) for row in ballots_in_words(report.vote))
    return (
        f"{text}\n\n### How they voted\n\n{_inline(vote_in_words(report.vote))}\n\n{_table(BALLOTS, ballots)}"
    )


def _not_used(report: CaseReport) -> str:
    sentences = left_out_sentences(report)
    return "## Left out of the search\n\n" + "\n\n".join(map(_inline, sentences)) if sentences else ""


def left_out_sentences(report: CaseReport) -> list[str]:
    """What the search for similar cases did without, and why; none where it had everything."""
    asked = report.settings.exclude
    told = f"Asked to be left out: {', '.join(asked)}." if asked else ""
    return [sentence for sentence in (told, excluded_sentence(report), *report.retrieval_notes) if sentence]


def ranks_of(case: SimilarCase) -> str:
    """A similar case's rank in each view: "text 3, image 1, lexical –"; empty where they are not known."""
    return ranks_in_words(case.ranks)


def excluded_sentence(report: CaseReport) -> str:
    """Which records could not be used, and why; empty where there are none."""
    if not report.excluded_count:
        return ""
    named = "; ".join(f"{case.id} ({_shared(case)})" for case in report.excluded[:_NAMED])
    more = report.excluded_count - min(_NAMED, len(report.excluded))
    count = report.excluded_count
    which = f"{count} record{'s' if count > 1 else ''} of the knowledge base could not be used"
    return f"{which}, since the case could be answered with itself: {named}" + (
        f"; and {more} more." if more > 0 else "."
    )


def _shared(case: LeftOut) -> str:
    return f"{case.reason if ' ' in case.reason else f'same {case.reason}'}: {case.detail}"


def _blind(report: CaseReport) -> str:
    if not report.blind_diagnosis:
        return ""
    first, last = _inline(blind_in_words(report)), _inline(marked(report, agent_diagnosis(report))) or "none"
    change = retrieval_sentence(report)
    return f"## Before and after the similar cases\n\nBlind: {first}  \nFinal: {last}\n\n{change}"


def shown_change(value: Any) -> str:
    """A value of a decision's ``changes`` as one text."""
    if isinstance(value, list) and len(value) == 2 and not any(isinstance(part, str) for part in value):
        start, end = value  # a segment
        return f"{moment(start or 0.0)} to {'the end' if end is None else moment(end)}"
    return " / ".join(map(str, value)) or "none" if isinstance(value, list) else str(value) or "none"


def _review(decisions: Sequence[Decision]) -> str:
    if not decisions:
        return ""
    rows = (
        (
            _inline(d.decided) or "–",
            _inline(d.reviewer) or "–",
            d.action,
            _inline(d.diagnosis or "") or "–",
            _inline(d.comment) or "–",
        )
        for d in decisions
    )
    text = "## Review\n\n" + _table(("when", "who", "decision", "diagnosis", "comment"), rows)
    changes = [
        (
            str(number),
            _inline(field.replace("_", " ")),
            _inline(shown_change(c["from"])),
            _inline(shown_change(c["to"])),
        )
        for number, decision in enumerate(decisions, 1)
        for field, c in decision.changes.items()
    ]
    if changes:
        text += "\n\n### What was changed\n\n" + _table(("decision", "field", "from", "to"), changes)
    return text


def _video(report: CaseReport) -> str:
    if report.video is None:
        return ""
    rows = [*_video_rows(report.video), *_quality_rows(report.quality)]
    writing = f"{_inline(report.burned_in['sentence'])}\n\n" if report.burned_in.get("writings") else ""
    return f"## Video\n\n{writing}" + _table(("", ""), rows)


def _video_rows(video: VideoFacts) -> list[tuple[str, str]]:
    rows = [
        ("file", _inline(video.path)),
        ("SHA-256", f"`{video.sha256}`"),
        ("size", f"{video.width} × {video.height}"),
        (
            "frames seen",
            f"{len(video.indices)} of {video.total_frames}, {video.sampling} sampling, {video.reader}",
        ),
    ]
    if video.kind != "image":
        rows.insert(2, ("length", f"{moment(video.duration)} at {video.fps:.4g} frames per second"))
        rows.append(("moments seen", ", ".join(moment(s) for s in video.seconds)))
    return rows


def _quality_rows(quality: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"quality: {_inline(str(name))}", _inline(shown_value(value))) for name, value in quality.items()
    ]


def _steps(steps: Sequence[Step]) -> str:
    if not steps:
        return ""
    rows = (
        (
            str(number),
            _inline(step.name),
            f"{step.seconds:.2f}",
            _inline(step.device or "–"),
            _inline(step.summary),
        )
        for number, step in enumerate(steps, 1)
    )
    return "## Steps\n\n" + _table(("#", "step", "seconds", "device", "outcome"), rows)


def _provenance(report: CaseReport) -> str:
    rows = [("model", _inline(report.model or "–")), ("created", _inline(report.created or "–"))]
    rows += [(_inline(name), _inline(shown_value(value))) for name, value in flat(report.provenance)]
    return "## Provenance\n\n" + _table(("", ""), rows)


def flat(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The values of nested fields, each with its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def shown_value(value: Any) -> str:
    """A value of the quality or the provenance as one text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(shown_value(part) for part in value) or "–"
    return "–" if value is None else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _inline(text: str) -> str:
    """Text as one escaped line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _quote(text: str) -> str:
    lines = (_LIST_LIKE.sub(r"\1\\\2\3", _inline(line)) for line in text.splitlines())
    return "\n".join(f"> {line}".rstrip() for line in lines)
