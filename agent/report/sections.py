"""The sections of a report: one order, titles and rows for all writers (Markdown, PDF, page, terminal)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import TypeVar

from videopath.agent.cases.records import CaseReport, VideoFacts
from videopath.agent.report.phrases import left_out_sentences
from videopath.agent.report.values import (
    box_in_words,
    change_in_words,
    flat_fields,
    moment,
    place_in_words,
    value_in_words,
)
from videopath.media.writing.records import Writing

_Part = TypeVar("_Part")

AGENT_SAID = "What the agent said"
"""The title of the agent's own outcome, if the diagnosis of the report is a person's."""
ADVICE = "What would help"
"""The title of the report's ``advice``."""
CHANGES = "What was changed"
"""The title of what the decisions of the reviews changed."""
OTHER_ORGANS = "Of other organs"
"""The title of the candidates of other organs."""
NOT_PART = "They are not part of the diagnosis."
"""Stands above the questions that were asked afterwards."""
SIGNED_STAYS = "What was signed stays as it is above."
"""Stands above the addenda."""
DIFFERENTIAL_COLUMNS = ("diagnosis", "probability", "by the model", "by the cases", "support")
SECOND_COLUMNS = ("diagnosis", "probability", "support")
STEP_COLUMNS = ("#", "step", "seconds", "device", "outcome")
CHANGE_COLUMNS = ("decision", "field", "from", "to")
STATEMENT_COLUMNS = ("who", "when", "decision", "diagnosis", "comment")


class ReportSection(Enum):
    """A section of a report; its value is its title. The members stand in the order of the report."""

    OUTCOME = "Outcome"
    STATEMENTS = "Who said what"
    DESCRIPTION = "Description"
    FINDINGS = "Findings, with the moment that shows each"
    DIFFERENTIAL = "Differential"
    SIMILAR_CASES = "Similar cases"
    VOTE = "How they voted"
    LEFT_OUT = "Left out of the search"
    BLIND = "Before and after the similar cases"
    SECOND_OPINION = "Second opinion"
    REVIEW = "Review"
    ADDENDA = "Addenda"
    QUESTIONS = "Questions asked afterwards"
    VIDEO = "Video"
    STEPS = "Steps"
    PROVENANCE = "Provenance"


SectionWriters = Mapping[ReportSection, Callable[[CaseReport], _Part]]
"""What writes each section; a writer leaves out the sections that it does not show."""


def write_sections(report: CaseReport, writers: SectionWriters[_Part]) -> Iterator[_Part]:
    """Yield each section that the report has and that has a writer, in the order of :class:`ReportSection`."""
    for section in sections_of(report):
        if section in writers:
            yield writers[section](report)


def sections_of(report: CaseReport) -> list[ReportSection]:
    """Return the sections that have something to say, in order."""
    empty = {
        ReportSection.STATEMENTS: not (report.review or report.addenda or report.second_opinion),
        ReportSection.DESCRIPTION: not report.description,
        ReportSection.FINDINGS: not report.findings,
        ReportSection.DIFFERENTIAL: not report.differential,
        ReportSection.SIMILAR_CASES: not report.similar_cases,
        ReportSection.VOTE: report.vote is None,
        ReportSection.LEFT_OUT: not left_out_sentences(report),
        ReportSection.BLIND: not report.blind_diagnosis,
        ReportSection.SECOND_OPINION: report.second_opinion is None,
        ReportSection.REVIEW: not report.review,
        ReportSection.ADDENDA: not report.addenda,
        ReportSection.QUESTIONS: not report.questions,
        ReportSection.VIDEO: report.video is None,
        ReportSection.STEPS: not report.steps,
    }
    return [section for section in ReportSection if not empty.get(section, False)]


def video_rows(report: CaseReport) -> list[tuple[str, str]]:
    """Return what is known of the source and of its quality, as names and values; empty if it was not read."""
    if report.video is None:
        return []
    quality = ((f"quality: {name}", value_in_words(value)) for name, value in flat_fields(report.quality))
    return [*_source_rows(report.video), *_part_rows(report), *quality]


def _source_rows(video: VideoFacts) -> list[tuple[str, str]]:
    seen = f"{len(video.indices)} of {video.total_frames}, {video.sampling} sampling, {video.reader}"
    rows = [
        ("file", video.path),
        ("SHA-256", video.sha256),
        ("size", f"{video.width} × {video.height}"),
        ("frames seen", seen),
    ]
    if video.kind != "image":
        rows.insert(2, ("length", f"{moment(video.duration)} at {video.fps:.4g} frames per second"))
        rows.append(("moments seen", ", ".join(moment(second) for second in video.seconds)))
    return rows


def _part_rows(report: CaseReport) -> list[tuple[str, str]]:
    """Return the crop of the case, and a row for each place with burned-in writing."""
    rows = [("crop", box_in_words(report.settings.crop))] if report.settings.crop else []
    if "rule" not in report.burned_in:  # a case of an earlier version
        return rows
    return [
        *rows,
        *(
            (f"writing {number}", place_in_words(Writing.model_validate(writing)))
            for number, writing in enumerate(report.burned_in["writings"], 1)
        ),
    ]


def step_rows(report: CaseReport) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each step, as :data:`STEP_COLUMNS`."""
    return [
        (str(number), step.name, f"{step.seconds:.2f}", step.device or "–", step.summary)
        for number, step in enumerate(report.steps, 1)
    ]


def change_rows(report: CaseReport) -> list[tuple[str, str, str, str]]:
    """Return a row for each field that a decision changed, as :data:`CHANGE_COLUMNS`."""
    return [
        (
            str(number),
            field.replace("_", " "),
            change_in_words(change["from"]),
            change_in_words(change["to"]),
        )
        for number, decision in enumerate(report.review, 1)
        for field, change in decision.changes.items()
    ]


def provenance_rows(report: CaseReport) -> list[tuple[str, str]]:
    """Return the names and values of the provenance."""
    rows = [("model", report.model or "–"), ("created", report.created or "–")]
    return [*rows, *((name, value_in_words(value)) for name, value in flat_fields(report.provenance))]
