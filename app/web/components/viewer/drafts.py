"""What a person has marked in the viewer and not decided with yet."""

from __future__ import annotations

import math

import streamlit as st

from videopath.agent import CaseReport
from videopath.agent.cases.records import Annotation
from videopath.app.web.components.viewer.messages import Drawn

_SEGMENT = "segment_from_viewer"  # in the session: the segment that the review form takes over


def drafts(case_id: str) -> list[Drawn]:
    """Return the marks of a case that are not part of a decision yet."""
    return list(st.session_state.get(_key(case_id), []))


def annotations_of(report: CaseReport, author: str) -> list[Annotation]:
    """Return the marks of a case as annotations of a decision, with the lengths of lines."""
    return [_annotation(mark, report, author) for mark in drafts(report.case_id)]


def _annotation(mark: Drawn, report: CaseReport, author: str) -> Annotation:
    pixels = micrometres = None
    if mark.shape == "line" and report.video is not None:
        left, top, right, bottom = mark.place
        pixels = math.hypot((right - left) * report.video.width, (bottom - top) * report.video.height)
        scale = report.settings.um_per_pixel
        micrometres = None if scale is None else pixels * scale
    return Annotation(**mark.model_dump(), author=author, pixels=pixels, micrometres=micrometres)


def shown(report: CaseReport) -> list[Drawn]:
    """Return the marks of all decisions on a case, as the viewer draws them."""
    return [
        Drawn(**mark.model_dump(include=set(Drawn.model_fields)))
        for decision in report.review
        for mark in decision.annotations
    ]


def keep_drafts(case_id: str, marks: list[Drawn]) -> None:
    """Keep the marks of a case until a decision takes them; none forgets them."""
    st.session_state[_key(case_id)] = list(marks)


def chosen_segment(case_id: str) -> tuple[float, float] | None:
    """Return the segment that was chosen in the viewer since the last call; the review form takes it over."""
    chosen: tuple[float, float] | None = st.session_state.pop(f"{_SEGMENT}:{case_id}", None)
    return chosen


def choose_segment(case_id: str, start: float, end: float) -> None:
    """Let the review form take over a segment, in seconds."""
    st.session_state[f"{_SEGMENT}:{case_id}"] = (start, end)


def _key(case_id: str) -> str:
    return f"annotations:{case_id}"
