"""Filter and order of the worklist. It uses plain Python, because every click filters thousands of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseEntry

NO_SITE = "site not given"


@dataclass(frozen=True)
class WorklistRow:
    """A case with its status on the pages."""

    entry: CaseEntry
    status: str

    @property
    def site(self) -> str:
        """The site, or ``NO_SITE``."""
        return self.entry.site or NO_SITE

    @property
    def video(self) -> str:
        """The video's file name."""
        return PurePath(self.entry.video).name


@dataclass(frozen=True)
class SortOrder:
    """An order of the worklist."""

    name: str
    key: Callable[[WorklistRow], Any]
    reverse: bool = False


ORDERS = (
    SortOrder("newest first", lambda row: row.entry.created, reverse=True),
    SortOrder("oldest first", lambda row: row.entry.created),
    SortOrder("highest confidence first", lambda row: row.entry.confidence or 0.0, reverse=True),
    SortOrder(
        "lowest confidence first", lambda row: 2.0 if row.entry.confidence is None else row.entry.confidence
    ),
    SortOrder("diagnosis, A to Z", lambda row: (not row.entry.diagnosis, row.entry.diagnosis.casefold())),
    SortOrder("site, A to Z", lambda row: (row.entry.site is None, row.site)),
    SortOrder("status", lambda row: row.status),
    SortOrder("model", lambda row: row.entry.model),
)


def sift(
    rows: Sequence[WorklistRow],
    *,
    statuses: Collection[str] = (),
    sites: Collection[str] = (),
    words: str = "",
    order: SortOrder = ORDERS[0],
) -> list[WorklistRow]:
    """Return the matching rows, sorted.

    Args:
        rows: All rows.
        statuses: Statuses to keep; empty: all.
        sites: Sites to keep; empty: all.
        words: Words that must all occur in case id, path of the video or diagnosis; upper and lower case are equal.
        order: The order.
    """
    search_words = words.casefold().split()
    matching = [
        row
        for row in rows
        if (not statuses or row.status in statuses)
        and (not sites or row.site in sites)
        and _contains(row.entry, search_words)
    ]
    return sorted(matching, key=order.key, reverse=order.reverse)


def same_video_first(rows: Sequence[WorklistRow], video: str) -> list[WorklistRow]:
    """Return the rows with the runs of a video first; the order is otherwise the same."""
    return sorted(rows, key=lambda row: row.entry.video != video)


def _contains(entry: CaseEntry, words: Sequence[str]) -> bool:
    text = f"{entry.case_id}\n{entry.video}\n{entry.diagnosis}".casefold()
    return all(word in text for word in words)
