"""The worklist: pages of a library's cases, by status, site, words and order. Only the rows of a page are read."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from sqlalchemy import Connection

from videopath.agent.cases.library import CaseEntry, CaseLibrary
from videopath.agent.cases.storage.pages import (
    AtWork,
    Sifting,
    count_batches,
    count_by_status,
    count_sifted,
    select_page,
    select_people,
    select_sites,
    select_taken,
    select_within,
)
from videopath.agent.cases.storage.statements import select_cases
from videopath.core.privacy.paths import screened_name

__all__ = ["Sifting", "Worklist"]


class Worklist:
    """The worklist of a library at a moment.

    Args:
        library: The library.
        queued: Ids of cases that wait in the memory of this process, and whose locks it holds: people see them as queued.
    """

    def __init__(self, library: CaseLibrary, queued: Collection[str] = ()) -> None:
        self._library = library
        self._queued = frozenset(queued)

    def page(self, sifting: Sifting, limit: int, offset: int = 0) -> Sequence[CaseEntry]:
        """Return the matching cases of a page, in their order.

        Args:
            sifting: Which cases, and in which order.
            limit: At most so many cases.
            offset: So many cases are left out at the beginning.
        """
        with self._library.store.reading() as connection:
            if connection is None:
                return []
            rows = select_page(connection, sifting, self._at_work(connection), limit, offset)
        return self._library.listed(rows)

    def entries(self, case_ids: Collection[str]) -> Sequence[CaseEntry]:
        """Return these cases, in the order of the ids; those that somebody has deleted are left out."""
        with self._library.store.reading() as connection:
            rows = [] if connection is None else select_cases(connection, case_ids=case_ids)
        by_id = {entry.case_id: entry for entry in self._library.listed(rows)}
        return [by_id[case_id] for case_id in case_ids if case_id in by_id]

    def count(self, sifting: Sifting) -> int:
        """Return how many cases match."""
        with self._library.store.reading() as connection:
            return 0 if connection is None else count_sifted(connection, sifting, self._at_work(connection))

    def counts(self) -> dict[str, int]:
        """Return the number of cases by their status as people see it; a status without cases is left out."""
        with self._library.store.reading() as connection:
            return {} if connection is None else count_by_status(connection, self._at_work(connection))

    def sites(self) -> Sequence[str | None]:
        """Return the sites of all cases, A to Z; None if cases have no site comes last."""
        with self._library.store.reading() as connection:
            sites = [] if connection is None else select_sites(connection)
        return sorted(sites, key=lambda site: (site is None, site or ""))

    def people(self) -> Sequence[str]:
        """Return the names of all people who are in charge of a case, or signed one, A to Z."""
        with self._library.store.reading() as connection:
            return [] if connection is None else select_people(connection)

    def count_within(self, folder: Path, of: Collection[str]) -> int:
        """Return how many further cases have their video in the folders of some cases.

        Args:
            folder: The folder of all cases' folders, as the videos of cases are stored.
            of: Ids of those cases; their folders are named for them.
        """
        with self._library.store.reading() as connection:
            videos = [] if connection is None else select_within(connection, f"{folder}{os.sep}")
        depth, names = len(folder.parts), {screened_name(case_id) for case_id in of}
        return sum(case_id not in of and Path(video).parts[depth] in names for case_id, video in videos)

    def batches(self) -> dict[str, dict[str, int]]:
        """Return the numbers of cases by status, of each batch with a case that is queued or running."""
        with self._library.store.reading() as connection:
            return {} if connection is None else count_batches(connection)

    def _at_work(self, connection: Connection) -> AtWork:
        held = frozenset(self._library.held(select_taken(connection)))
        queued = self._queued & held
        return AtWork(held - queued, queued)
