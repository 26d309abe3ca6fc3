"""How far a case is, in words with an icon; colour only repeats what the word says."""

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
class Look:
    """How a status is shown."""

    icon: str
    colour: Colour


STATUSES: dict[str, Look] = {
    "running": Look(":material/progress_activity:", "blue"),
    "queued": Look(":material/hourglass_top:", "blue"),
    "interrupted": Look(":material/pause_circle:", "orange"),
    "waiting for review": Look(":material/rate_review:", "violet"),
    "abstained": Look(":material/help:", "orange"),
    "done": Look(":material/check_circle:", "green"),
    "signed": Look(":material/verified:", "green"),
    "rejected": Look(":material/thumb_down:", "gray"),
    "failed": Look(":material/error:", "red"),
}
"""Every status that a case can be in, in the order in which the filter names them."""

RESUMABLE = ("interrupted", "failed")
_UNITS = (("day", 86400), ("h", 3600), ("min", 60))


def open_jobs(states: list[JobState]) -> dict[str, JobState]:
    """The worker's open jobs by case."""
    return {state.case_id: state for state in states}


def status_of(entry: CaseEntry, jobs: Mapping[str, JobState]) -> str:
    """One of ``STATUSES``: the library's state, by the case's lock; this server's worker knows which cases wait."""
    job = jobs.get(entry.case_id)
    if job is not None:
        return "queued" if job.phase == "queued" else "running"
    return entry.state


def status_badge(status: str, place: int = 0) -> None:
    """The status as a badge; ``place`` in the queue where it is known (1: next)."""
    look = STATUSES[status]
    words = f"{status}, place {place}" if status == "queued" and place else status
    st.badge(words, icon=look.icon, color=look.colour)


def age(moment: str, now: datetime | None = None) -> str:
    """How long ago an ISO 8601 moment was: "just now", "5 min ago", "3 h ago", "2 days ago"."""
    seconds = ((now or utc()) - datetime.fromisoformat(moment)).total_seconds()
    for unit, length in _UNITS:
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"
