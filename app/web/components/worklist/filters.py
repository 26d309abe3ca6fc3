"""A case of the worklist as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

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
