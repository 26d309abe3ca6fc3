"""The status of a case as a word with an icon; the colour only repeats the word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import streamlit as st

from videopath.core.clock import utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videopath.agent.cases.library import CaseEntry
    from videopath.app.web.runtime.worker import JobState

Colour = Literal["red", "orange", "blue", "green", "violet", "gray"]


@dataclass(frozen=True)
class StatusStyle:
    """Icon and colour of a status."""

    icon: str
    colour: Colour


STATUSES: dict[str, StatusStyle] = {
    "running": StatusStyle(":material/progress_activity:", "blue"),
    "queued": StatusStyle(":material/hourglass_top:", "blue"),
    "interrupted": StatusStyle(":material/pause_circle:", "orange"),
    "waiting for review": StatusStyle(":material/rate_review:", "violet"),
    "abstained": StatusStyle(":material/help:", "orange"),
    "done": StatusStyle(":material/check_circle:", "green"),
    "signed": StatusStyle(":material/verified:", "green"),
    "rejected": StatusStyle(":material/thumb_down:", "gray"),
    "failed": StatusStyle(":material/error:", "red"),
}
"""All statuses of a case, in the order of the filter."""

RESUMABLE = ("interrupted", "failed")
_UNITS = (("day", 86400), ("h", 3600), ("min", 60))


def open_jobs(states: list[JobState]) -> dict[str, JobState]:
    """Return the worker's open jobs by case id."""
    return {state.case_id: state for state in states}


def status_of(entry: CaseEntry, jobs: Mapping[str, JobState]) -> str:
    """Return one of ``STATUSES``: "queued" or "running" for the worker's jobs, otherwise the library's state."""
    job = jobs.get(entry.case_id)
    if job is not None:
        return "queued" if job.phase == "queued" else "running"
    return entry.state


def status_badge(status: str, position: int = 0) -> None:
    """Show the status as a badge; ``position`` is the place in the queue (1: next; 0: not known)."""
    style = STATUSES[status]
    words = f"{status}, place {position}" if status == "queued" and position else status
    st.badge(words, icon=style.icon, color=style.colour)


def age(moment: str, now: datetime | None = None) -> str:
    """Return how long ago an ISO 8601 moment was: "just now", "5 min ago", "3 h ago", "2 days ago"."""
    seconds = ((now or utc()) - datetime.fromisoformat(moment)).total_seconds()
    for unit, length in _UNITS:
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"
