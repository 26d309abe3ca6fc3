"""The queue of a case library: several processes put cases in, and each case is taken by one worker.

The rows are in the library's database. A worker that takes a case holds its lock, which is free again when the worker
ends, however it ends: the next worker then goes on from the last finished step. A case leaves the queue when it ends,
when it waits for a person, when it fails, or when a person stops it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from videopath.agent.cases.records import Decision
from videopath.agent.cases.storage.queue import (
    IN_QUEUE,
    count_queue,
    delete_queued,
    has_queue,
    insert_queued,
    note_try,
    select_queue,
    select_queued,
)
from videopath.agent.cases.storage.statements import select_case, update_case
from videopath.agent.cases.storage.store import CaseLock
from videopath.agent.cases.trace import TRACE_NAME, read_trace
from videopath.core.clock import now
from videopath.core.errors import CaseError
from videopath.tools.journal import JOURNAL_NAME

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary

_log = logging.getLogger(__name__)

MAX_TRIES = 5
"""Workers that a case may end at the same place before it fails."""


@dataclass(frozen=True)
class TakenCase:
    """A case that this process has taken from the queue; it holds the case's lock until :meth:`release`."""

    case_id: str
    lock: CaseLock

    def release(self) -> None:
        """Free the lock; nothing happens if it is free or lost."""
        if self.lock.is_locked:
            self.lock.release()


class CaseQueue:
    """The queue of a case library.

    Args:
        library: The library.
    """

    def __init__(self, library: CaseLibrary) -> None:
        self._library = library
        self._store = library.store

    def put(self, case_id: str, decision: Decision | None = None) -> None:
        """Put an unfinished case that no process works on at the end of the queue; nothing happens if it is queued.

        Args:
            case_id: The case.
            decision: The decision of the review that the case waits for; with the id of that review.

        Raises:
            CaseError: The case is unknown or finished, a process works on it, or it is queued and there is a decision.
        """
        from videopath.agent.cases.library import FINISHED
        from videopath.agent.cases.signatures.signing import decision_not_kept

        lost = decision_not_kept(decision)
        if decision is None and self._library.entry(case_id).state == "queued":
            return
        with self._library.working(case_id, lost=lost):
            entry = self._library.entry(case_id)
            if entry.status in FINISHED:
                raise CaseError(f"Case {case_id} is {entry.status}: it has ended.{lost}")
            if decision is not None and entry.status != "waiting for review":
                raise CaseError(
                    f"Case {case_id} is {entry.status}, so it does not wait for a decision: look at the case again.{lost}"
                )
            text = None if decision is None else decision.model_dump_json()
            with self._store.writing() as connection:
                if decision is None and select_queued(connection, case_id) is not None:
                    note_try(
                        connection, case_id, "", 0
                    )  # its worker died: it keeps its place, and its decision
                else:
                    insert_queued(connection, case_id, now(), text)
                update_case(connection, case_id, {"status": "queued", "updated": now()})

    def take(self, model: str | None = None) -> TakenCase | None:
        """Take the oldest case that no process works on; None if there is none.

        A case that ended several workers at the same place is set to failed, and the next one is taken.

        Args:
            model: Only cases that this model answers; None: all.

        Raises:
            CaseError: The database cannot be used.
        """
        case_ids = self._waiting(model)
        at_work = self._store.at_work(case_ids)
        for case_id in case_ids:
            lock = None if case_id in at_work else self._store.try_take(case_id)
            if lock is None:
                continue
            try:
                if self._begin(case_id):
                    return TakenCase(case_id, lock)
            except BaseException:
                lock.release()
                raise
            lock.release()
        return None

    def give_back(self, case_id: str) -> None:
        """Show a case that this process has taken as queued again; it keeps its place. Its lock stays held."""
        self._library.refuse_lost(case_id)
        with self._store.writing() as connection:
            if select_queued(connection, case_id) is not None:
                update_case(connection, case_id, {"status": "queued", "updated": now()})
                note_try(connection, case_id, "", 0)

    def remove(self, case_id: str) -> bool:
        """Take a case out of the queue, so that no worker takes it, and the one that works on it stops after its step.

        Returns:
            Whether it was in the queue.
        """
        from videopath.agent.cases.library import REVIEW_STATUS

        with self._store.writing() as connection:
            row, case = select_queued(connection, case_id), select_case(connection, case_id)
            if row is None or case is None:
                return False
            delete_queued(connection, case_id)
            if case["status"] == "queued":
                status = "running" if row.decision is None else REVIEW_STATUS
                update_case(connection, case_id, {"status": status, "updated": now()})
        return True

    def has(self, case_id: str) -> bool:
        """Return whether a case is in the queue, or worked on by a worker that took it from there."""
        with self._store.reading() as connection:
            return (
                connection is not None
                and has_queue(connection)
                and select_queued(connection, case_id) is not None
            )

    def decision(self, case_id: str) -> Decision | None:
        """Return the decision that waits with a case; None if there is none."""
        with self._store.reading() as connection:
            if connection is None or not has_queue(connection):
                return None
            row = select_queued(connection, case_id)
        try:
            return None if row is None or row.decision is None else Decision.model_validate_json(row.decision)
        except ValidationError:
            _log.warning(
                "Case %s: its queued decision is damaged; the case waits for its review again.", case_id
            )
            return None

    def waiting(self) -> Sequence[str]:
        """Return the ids of the cases that wait for a worker, the next one first."""
        return self.split()[1]

    def split(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of the cases that a worker works on, and of those that wait, each in the order of the queue."""
        case_ids = self._waiting(None)
        at_work = self._store.at_work(case_ids)
        return [one for one in case_ids if one in at_work], [one for one in case_ids if one not in at_work]

    def __len__(self) -> int:
        """Return how many cases are in the queue, those that are worked on included."""
        with self._store.reading() as connection:
            return 0 if connection is None or not has_queue(connection) else count_queue(connection)

    def _waiting(self, model: str | None) -> Sequence[str]:
        with self._store.reading() as connection:
            if connection is None or not has_queue(connection):
                return []
            return select_queue(connection, model=model)

    def _begin(self, case_id: str) -> bool:
        """Note that this process begins with a case, whose lock it holds; False if another one has ended it meanwhile."""
        if self.has(case_id) and self._library.finished(case_id):
            self._library.save(self._library.get(case_id))  # a kill came between its report and its row
            return False
        progress = self._progress(case_id)
        with self._store.writing() as connection:
            row, case = select_queued(connection, case_id), select_case(connection, case_id)
            if row is None or case is None or case["status"] not in IN_QUEUE:
                return False
            tries = row.tries + 1 if row.progress == progress else 1
            if tries <= MAX_TRIES:
                note_try(connection, case_id, progress, tries)
                update_case(connection, case_id, {"status": "running", "updated": now()})
                return True
        self._library.set_status(
            case_id,
            "failed",
            f"The case ended {MAX_TRIES} workers at the same place, as if it needed more memory than there is: look at "
            "the workers' log, and resume the case.",
        )
        _log.error("Case %s: failed, since it ended %d workers at the same place.", case_id, MAX_TRIES)
        return False

    def _progress(self, case_id: str) -> str:
        """Return how far a case is: its finished steps, and the size of its journal of the model's answers."""
        folder = self._library.folder(case_id)
        journal = folder / JOURNAL_NAME
        size = journal.stat().st_size if journal.exists() else 0
        return f"{len(read_trace(folder / TRACE_NAME))} steps, {size} bytes"
