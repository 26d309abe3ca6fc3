"""A worker of the queue that several processes share: it takes one case after the other and works each on to its end."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.storage.store import LostCaseError
from videopath.agent.cases.team.queue import CaseQueue, TakenCase
from videopath.agent.replay import agent_of, second_spec_of, settings_of, spec_of
from videopath.core.errors import CaseError, VideoPathError
from videopath.model.inference.spec import EngineSpec

if TYPE_CHECKING:
    from videopath.agent.cases.records import RunSettings, Step
    from videopath.model.inference.engine import Engine

_log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks into an empty queue."""
_PATIENCE = 5.0  # seconds between two tries to reach a database that cannot be used

WorkEnd = Literal["ended", "failed", "given back", "stopped", "lost"]
"""How the work on a case ended: "given back" to the queue; "stopped" by a person; "lost" with the connection."""


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker decides itself; everything else is in the settings of each case."""

    model: str | None = None
    """Only cases of this model; None: all."""
    device: str | None = None
    """In place of the device in the settings of a case."""
    dtype: str | None = None
    """In place of the number format in the settings of a case."""
    accept_licence: bool = False


class QueueWorker:
    """Works on the cases in the queue of a library, one at a time.

    Args:
        library: The library.
        engine_of: Returns the loaded engine of a spec; it should keep engines, since it is asked for each case.
        options: What the worker decides itself.
        on_step: Called with the case id for each step as it finishes.
        on_end: Called with the case id when the work on it has ended.
    """

    def __init__(
        self,
        library: CaseLibrary,
        engine_of: Callable[[EngineSpec], Engine],
        options: WorkerOptions | None = None,
        *,
        on_step: Callable[[str, Step], object] | None = None,
        on_end: Callable[[str, WorkEnd], object] | None = None,
    ) -> None:
        self.library = library
        self.queue = CaseQueue(library)
        self._engine_of = engine_of
        self._options = options or WorkerOptions()
        self._on_step = on_step or (lambda _case_id, _step: None)
        self._on_end = on_end or (lambda _case_id, _end: None)
        self._stopping = False
        self._wake: SimpleQueue[None] = SimpleQueue()  # unlike an Event, a signal handler can always use it
        self._case_id: str | None = None

    def stop(self) -> None:
        """End after the present step. Can be called from a signal handler or from another thread."""
        self._stopping = True
        self._wake.put(None)

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopping

    @property
    def case_id(self) -> str | None:
        """The case that it works on; None while it waits for one."""
        return self._case_id

    def run(self, *, once: bool = False) -> int:
        """Work until :meth:`stop` is called.

        A database that cannot be reached for a while is asked again and again.

        Args:
            once: End as soon as no case waits.

        Returns:
            How many cases failed.

        Raises:
            CaseError: With ``once``, the database cannot be used.
        """
        failed = 0
        while not self.stopping:
            try:
                taken = self.queue.take(self._options.model)
            except (CaseError, OSError) as error:
                if once:
                    raise
                _log.warning("The queue cannot be read: %s", error)
                self._wait(_PATIENCE)
                continue
            if taken is None:
                if once:
                    break
                self._wait(INTERVAL)
            elif self.work_on(taken) == "failed":
                failed += 1
        return failed

    def _wait(self, seconds: float) -> None:
        """Wait, at most until :meth:`stop` is called."""
        with suppress(Empty):
            self._wake.get(timeout=seconds)

    def work_on(self, taken: TakenCase) -> WorkEnd:
        """Work on a case until it ends or waits for a person, and free its lock."""
        self._case_id = taken.case_id
        try:
            end = self._followed(taken.case_id)
        finally:
            taken.release()
            self._case_id = None
        self._on_end(taken.case_id, end)
        return end

    def _followed(self, case_id: str) -> WorkEnd:
        """Work on a case; whatever goes wrong is in its row, so that no other worker takes it again at once."""
        try:
            return self._steps(case_id)
        except LostCaseError as error:
            _log.warning("%s", error)
            return "lost"
        except (VideoPathError, OSError, sqlite3.Error) as error:
            reason = str(error)
        except KeyboardInterrupt:
            self._give_back(case_id)
            raise
        except Exception:  # noqa: BLE001 - one case must not stop the others; the reason is in its row
            _log.exception("Case %s: failed unexpectedly.", case_id)
            reason = "VideoPath failed unexpectedly. The worker's log shows where. Report the problem, and resume the case."
        return self._set_failed(case_id, reason)

    def _steps(self, case_id: str) -> WorkEnd:
        settings = settings_of(self.library, case_id)
        spec = self._spec(settings)
        engine, second = self._engine_of(spec), self._second(settings)
        with agent_of(settings, self.library, spec=spec, engine=engine, second_opinion=second) as agent:
            steps = agent.stream_resume(case_id, held=True)
            try:
                for step in steps:
                    self._on_step(case_id, step)
                    if self.library.finished(case_id):
                        continue  # only the end of the graph follows
                    if not self.queue.has(case_id):
                        _log.info("Case %s: stopped by a person.", case_id)
                        return "stopped"
                    if self.stopping:
                        self._give_back(case_id)
                        return "given back"
            finally:
                steps.close()  # type: ignore[attr-defined]
        return "ended"

    def _spec(self, settings: RunSettings) -> EngineSpec:
        own = self._options
        spec = spec_of(settings, accept_licence=own.accept_licence)
        return spec.overridden(device=own.device, dtype=own.dtype)

    def _second(self, settings: RunSettings) -> EngineSpec | Engine | None:
        """Return the loaded second model; its spec if it cannot be loaded, so that the case's own step says why."""
        own = self._options
        spec = second_spec_of(settings, accept_licence=own.accept_licence)
        if spec is None:
            return None
        spec = spec.overridden(device=own.device)
        try:
            return self._engine_of(spec)
        except VideoPathError as error:
            _log.warning("The second model of a case cannot be loaded: %s", error)
            return spec

    def _give_back(self, case_id: str) -> None:
        try:
            self.queue.give_back(case_id)
        except CaseError as error:  # its lock is freed all the same, and another worker takes it over
            _log.warning("Case %s: %s", case_id, error)

    def _set_failed(self, case_id: str, reason: str) -> WorkEnd:
        _log.warning("Case %s: failed. %s", case_id, reason)
        try:
            if not self.library.finished(case_id):
                self.library.set_status(case_id, "failed", reason)
        except CaseError as error:
            _log.warning("Case %s: %s", case_id, error)
            return "lost"
        return "failed"
