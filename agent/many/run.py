"""The run of a batch: rows become cases, what is done is left out, and each end is written to the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from videopath.agent.many.identity import Identity, System, file_state, identity_of, known_file, request_of
from videopath.agent.many.journal import BatchFolder, FileState, KnownResult
from videopath.agent.many.manifest import Row
from videopath.agent.many.pool import Workers
from videopath.agent.many.results import Outcome, ResultRow, RowStatus
from videopath.agent.many.work import Exports, Task
from videopath.core.errors import InputError
from videopath.core.privacy.personal import screened_text
from videopath.core.remote import RemoteError, screened_place

OnResult = Callable[[ResultRow], object]


@dataclass
class _OpenCase:
    file: FileState
    rows: list[Row] = field(default_factory=list)


@lru_cache(256)
def _screened(question: str) -> str:
    """Return a question as its case stores it, a person's data masked."""
    return screened_text(question).text


class Batch:
    """One run over the rows of a batch."""

    def __init__(
        self,
        rows: Iterable[Row],
        workers: Workers,
        *,
        folder: BatchFolder | None = None,
        exports: Exports | None = None,
        retry_failed: bool = False,
        on_result: OnResult | None = None,
        on_loaded: Callable[[], object] | None = None,
    ) -> None:
        """Make a run; nothing is started yet.

        Args:
            rows: The rows, which are read as workers become free.
            workers: Who works on them.
            folder: Where the journal is; it is held by the caller. None: nothing is remembered.
            exports: What is written for each case, so that a missing file makes its case run again.
            retry_failed: Whether rows that failed in an earlier run are tried again.
            on_result: Called for each row as soon as its end is known.
            on_loaded: Called when the model is loaded and the work begins.
        """
        self._rows = iter(rows)
        self._system: System | None = None
        self._workers = workers
        self._folder = folder
        self._exports = exports
        self._retry_failed = retry_failed
        self._on_result = on_result
        self._on_loaded = on_loaded
        self._open: dict[str, _OpenCase] = {}
        self._ended: dict[str, Outcome | None] = {}
        """The cases that ended in this run; None: the outcome is in the journal."""
        self._results: deque[ResultRow] = deque()

    def run(self) -> Iterator[ResultRow]:
        """Yield each row as it ends; rows that were done before come as they are read."""
        self._system = self._workers.start()
        if self._on_loaded is not None:
            self._on_loaded()
        for task, outcome in self._workers.work(self._tasks(self._system)):
            self._end(task, outcome)
            yield from self._taken()
        yield from self._taken()

    def ended_before(self) -> Iterator[ResultRow] | None:
        """Yield the rest of the rows that ended in this run or an earlier one, after :meth:`run` was interrupted.

        No file is hashed and nothing is worked on. None: it is not known yet which rows these are.
        """
        return None if self._system is None else self._ended_before(self._system)

    def _ended_before(self, system: System) -> Iterator[ResultRow]:
        yield from self._taken()
        waiting = [row for case in self._open.values() for row in case.rows]
        for row in chain(waiting, self._rows):
            with suppress(OSError, InputError):
                file = None if row.problem else known_file(row.path, self._folder)
                if file is not None and self._folder is not None:
                    known = self._folder.known(identity_of(row, file.sha256, system).sha256)
                    if known is not None:
                        self._emit(row, known.outcome, file.path, repeated=True)
            yield from self._taken()

    def _taken(self) -> Iterator[ResultRow]:
        while self._results:
            yield self._results.popleft()

    def _tasks(self, system: System) -> Iterator[Task]:
        for row in self._rows:
            task = self._task(row, system)
            if task is not None:
                yield task

    def _task(self, row: Row, system: System) -> Task | None:
        """Return the case of a row; None if the row has ended, or waits for another row of the same case."""
        if row.problem:
            self._emit(row, Outcome(status="refused", reason=row.problem), screened_place(row.path))
            return None
        try:
            file = file_state(row.path, self._folder)
        except InputError as error:
            status: RowStatus = "failed" if isinstance(error, RemoteError) else "refused"
            self._emit(row, Outcome(status=status, reason=str(error)), screened_place(row.path))
            return None
        identity = identity_of(row, file.sha256, system)
        key = identity.sha256
        if key in self._open:
            self._open[key].rows.append(row)
            return None
        if (outcome := self._ended.get(key)) is not None:
            self._emit(row, outcome, file.path)
            return None
        known = self._folder.known(key) if self._folder is not None else None
        if known is not None and (key in self._ended or self._stays(known, identity)):
            self._emit(row, known.outcome, file.path, repeated=key not in self._ended)
            return None
        self._open[key] = _OpenCase(file, [row])
        return Task(key, identity.case_id, request_of(row, identity.case_id), identity.hashes())

    def _stays(self, known: KnownResult, identity: Identity) -> bool:
        """Return whether a result of an earlier run is final. A person may have decided on a waiting case meanwhile."""
        if known.status == "refused":
            return True
        if known.status == "failed":
            return not self._retry_failed
        exported = self._exports is None or not self._exports.missing(identity.case_id)
        return known.status != "waiting for review" and exported

    def _end(self, task: Task, outcome: Outcome) -> None:
        case = self._open.pop(task.identity)
        self._ended[task.identity] = outcome if self._folder is None else None
        if self._folder is not None:
            known = self._folder.known(task.identity)
            if known is None or known.outcome != outcome:
                self._folder.add(task.identity, case.file, outcome)
        for row in case.rows:
            self._emit(row, outcome, case.file.path)

    def _emit(self, row: Row, outcome: Outcome, path: str, *, repeated: bool = False) -> None:
        values: dict[str, Any] = outcome.model_dump()
        result = ResultRow(
            **values,
            row=row.number,
            path=path,
            site=row.site or "",
            question=_screened(row.question or ""),
            segment=row.segment,
            extra=dict(row.extra),
            repeated=repeated,
        )
        if self._on_result is not None:
            self._on_result(result)
        self._results.append(result)
