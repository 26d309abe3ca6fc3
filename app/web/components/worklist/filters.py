"""Which cases the worklist shows, and in which order. Plain Python: thousands of rows are sifted at each click."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseEntry

NO_SITE = "site not given"


@dataclass(frozen=True)
class Row:
    """A case with its status as the pages show it."""

    entry: CaseEntry
    status: str

    @property
    def site(self) -> str:
        """The site, or that none was given."""
        return self.entry.site or NO_SITE

    @property
    def video(self) -> str:
        """The video's file name."""
        return PurePath(self.entry.video).name


@dataclass(frozen=True)
class Order:
    """A way to sort."""

    name: str
    key: Callable[[Row], Any]
    reverse: bool = False


ORDERS = (
    Order("newest first", lambda row: row.entry.created, reverse=True),
    Order("oldest first", lambda row: row.entry.created),
    Order("surest first", lambda row: row.entry.confidence or 0.0, reverse=True),
    Order("least sure first", lambda row: 2.0 if row.entry.confidence is None else row.entry.confidence),
    Order("diagnosis, A to Z", lambda row: (not row.entry.diagnosis, row.entry.diagnosis.casefold())),
    Order("site, A to Z", lambda row: (row.entry.site is None, row.site)),
    Order("status", lambda row: row.status),
    Order("model", lambda row: row.entry.model),
)


def sift(
    rows: Sequence[Row],
    *,
    statuses: Collection[str] = (),
    sites: Collection[str] = (),
    words: str = "",
    order: Order = ORDERS[0],
) -> list[Row]:
    """The rows of these statuses and sites (none: all) in which every one of the words occurs, sorted.

    Words are looked for in case id, path of the video and diagnosis, whatever their case.
    """
    wanted = words.casefold().split()
    found = [
        row
        for row in rows
        if (not statuses or row.status in statuses)
        and (not sites or row.site in sites)
        and _has(row.entry, wanted)
    ]
    return sorted(found, key=order.key, reverse=order.reverse)


def same_video_first(rows: Sequence[Row], video: str) -> list[Row]:
    """The other runs of a video before the rest; within both, the order stays."""
    return sorted(rows, key=lambda row: row.entry.video != video)


def _has(entry: CaseEntry, wanted: Sequence[str]) -> bool:
    text = f"{entry.case_id}\n{entry.video}\n{entry.diagnosis}".casefold()
    return all(word in text for word in wanted)
