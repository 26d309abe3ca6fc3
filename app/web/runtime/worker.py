"""The worker: a thread of the server that runs the cases one after the other, also if nobody looks at them.

It does not depend on Streamlit. A submitted case is in the library at once. If the server is killed, the cases that
wait or run can therefore be resumed like any interrupted case.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.cli.errors import os_sentence
from videopath.app.web.runtime.engine_questions import Answer, question
from videopath.app.web.runtime.engines import LOADING, Engines
from videopath.app.web.runtime.fair_queue import FairQueue
from videopath.app.web.runtime.jobs import ENDED, Board, Job, JobState, Phase, Submission
from videopath.core.errors import (
    CaseError,
    EngineError,
    InputError,
    KnowledgeError,
    ModelError,
    VideoPathError,
)
from videopath.core.folders import visitor_model, visitor_path
from videopath.core.settings import Settings
from videopath.model.inference.spec import EngineSpec

if TYPE_CHECKING:
    from videopath.agent import Decision, DiagnosticAgent, Progress
    from videopath.model.inference.engine import Engine

__all__ = ["JobState", "Phase", "Submission", "Worker"]

_log = logging.getLogger(__name__)

_UNEXPECTED = (
    "VideoPath failed unexpectedly. The server's log shows where. Report the problem, and resume the case."
)


class CaseStopped(BaseException):
    """Ends the run of a case between two tokens. Not an ``Exception``, so that no code handles it as a failure."""


class Worker:
    """Runs the cases of one home folder, one at a time; the owners take turns."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home = home
        self.settings = settings
        self.engines = Engines(home, settings)
        self._queue: FairQueue[Job | Callable[[], None]] = FairQueue()
        self._board = Board()
        self._warm = threading.Event()
        self._warming = ("", 0.0)  # what is being loaded in advance, and since when
        self._start_thread()

    def warm(self) -> None:
        """Load the settings' model and the embedder in advance; further calls do nothing."""
        if not self._warm.is_set():
            self._warm.set()
            self._queue.put("", self._warm_model)
            self._queue.put("", self._warm_embedder)

    def submit(self, submission: Submission) -> None:
        """Enter a new case into the library and queue it.

        Raises:
            InputError: If the video, site or question cannot be used, or if visitors may not open a path.
            CaseError: If the case id is taken.
        """
        submission = self._confined(submission)
        with self._agent_of(submission) as agent:
            case_id = agent.begin_case(submission.case)
        self._enqueue(case_id, submission.owner)

    def resume(self, case_id: str, owner: str, decision: Decision | None = None) -> None:
        """Queue a case that was interrupted, that failed, or that waits for this decision.

        Without a decision, nothing happens if the case is already queued or running here.

        Raises:
            CaseError: If the case is unknown, if another process works on it, or if the decision is stale, repeated
                or not asked for.
        """
        from videopath.agent.cases.library import load_case_library

        load_case_library(self.home).entry(case_id)
        if self._board.job(case_id) is not None:
            if decision is not None:
                raise CaseError(_already_running(case_id))
            return
        if decision is not None:
            self._refuse_stale(case_id, decision)
        if not self._enqueue(case_id, owner, decision) and decision is not None:
            raise CaseError(_already_running(case_id))

    def ask(
        self, owner: str, work: Callable[[Engine], Answer], spec: Callable[[], EngineSpec] | None = None
    ) -> Future[Answer]:
        """Queue a question to an engine; it waits its turn like a case.

        Args:
            owner: The name of the browser session, for its turn.
            work: Asks the engine; runs in the worker's thread.
            spec: Returns the engine's spec, in the worker's thread; default: that of the settings.
        """
        spec = spec or partial(EngineSpec.from_settings, self.settings)
        answer, task = question(lambda: self.engines.get(spec()), work)
        self._queue.put(owner, task)
        return answer

    def stop(self, case_id: str) -> None:
        """Stop a case between two tokens; it can be resumed. Nothing happens if it is not queued or running."""
        job = self._board.job(case_id)
        if job is None:
            self._stop_elsewhere(case_id)
            return
        job.stopped.set()
        state = self._board.state(case_id)
        if self._queue.remove(lambda item: item is job) or (state and state.phase == "loading"):
            job.release()
            self._board.update(job, phase="stopped", activity="")
        else:
            self._board.update(job, phase="stopping")

    def _stop_elsewhere(self, case_id: str) -> None:
        """Take a case out of the library's queue; a worker that works on it stops after its present step."""
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.team.queue import CaseQueue

        CaseQueue(load_case_library(self.home)).remove(case_id)

    def state(self, case_id: str) -> JobState | None:
        """Return how far a case is, also one that another process takes from the library's queue.

        None if this worker never had it and it is not in the queue, or if it ended long ago.
        """
        from videopath.agent.cases.library import load_case_library
        from videopath.app.web.runtime.shared_queue import queued_state

        state = self._board.state(case_id)
        if state is None or state.phase in ENDED:
            with suppress(CaseError):  # an unknown id, or a library that cannot be read: the page says it
                state = queued_state(load_case_library(self.home), case_id) or state
        return state and self._placed(state, self._positions())

    def queue(self) -> list[JobState]:
        """Return the running and waiting cases, in their order."""
        positions = self._positions()
        states = [self._placed(state, positions) for state in self._board.open_jobs()]
        return sorted(states, key=lambda state: state.position)

    def lengths(self) -> tuple[int, int]:
        """Return how many cases wait in this process, and how many it works on."""
        waiting = len(self._positions())
        return waiting, max(0, len(self._board.open_jobs()) - waiting)

    def close(self, timeout: float | None = None) -> bool:
        """Stop all cases and take no more; they can be resumed. Return whether they ended within ``timeout`` seconds."""
        self._queue.close()
        for state in self._board.open_jobs():
            self.stop(state.case_id)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _positions(self) -> dict[str, int]:
        """Case id → its place among the waiting cases, counted from 1."""
        waiting = [item for item in self._queue.waiting() if isinstance(item, Job)]
        return {job.case_id: position for position, job in enumerate(waiting, start=1)}

    def _placed(self, state: JobState, positions: dict[str, int]) -> JobState:
        """The state with its place in the queue; the next case shows what is being loaded in advance."""
        position = positions.get(state.case_id, 0)
        if state.phase != "queued" or not position:
            return state
        activity, since = self._warming
        if position > 1 or not activity:
            return replace(state, position=position)
        expected = self.engines.expected_loading(self.settings.model)
        return replace(state, phase="loading", activity=activity, step_started=since, expected=expected)

    def _enqueue(self, case_id: str, owner: str, decision: Decision | None = None) -> bool:
        """Lock a case for this worker and queue it; return False if it is already queued or running here."""
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.signatures.signing import decision_not_kept

        lost = decision_not_kept(decision)
        try:
            job = Job(case_id, owner, load_case_library(self.home).take(case_id, lost=lost), decision)
        except CaseError:
            if self._board.job(case_id) is not None:
                return False
            raise
        if not self._board.enter(job):
            job.release()
            return False
        self._queue.put(owner, job)
        return True

    def _agent_of(self, submission: Submission) -> DiagnosticAgent:
        """Return an agent with the settings of a submission; its model is never loaded."""
        from videopath.agent import DiagnosticAgent

        spec = EngineSpec.from_settings(self.settings)
        if submission.model != self.settings.model:
            spec = spec.overridden(model=submission.model)
        return DiagnosticAgent.load(
            model=spec,
            second_opinion=submission.second_opinion or self.settings.second_opinion,
            knowledge=submission.knowledge,
            review=submission.review,
            frames=submission.frames,
            accept_uncalibrated=submission.accept_uncalibrated,
            writing=self.settings.writing,
            home=self.home,
        )

    def _confined(self, submission: Submission) -> Submission:
        """Return the submission with resolved paths; raise if visitors may not open one of them."""
        case, knowledge, second = submission.case, submission.knowledge, submission.second_opinion
        return replace(
            submission,
            case=replace(case, video=visitor_path(Path(case.video), self.settings)),
            model=visitor_model(submission.model, self.settings),
            knowledge=knowledge and visitor_path(knowledge, self.settings),
            second_opinion=second and visitor_model(second, self.settings),
        )

    def _refuse_stale(self, case_id: str, decision: Decision) -> None:
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.signatures.signing import decision_not_kept
        from videopath.agent.replay import agent_of, settings_of

        library = load_case_library(self.home)
        with agent_of(settings_of(library, case_id), self.home) as agent:
            if agent.pending(case_id) is None:
                lost = decision_not_kept(decision)
                raise CaseError(
                    f"Case {case_id} no longer waits for a decision: somebody else decided, or you decided in "
                    f"another window. Look at the case again.{lost}"
                )
            agent.check(case_id, decision)  # rejects a stale decision and an impossible revision

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._work, name="videopath-worker", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        """Run item after item. An unexpected error ends this thread with a traceback in the log; a new thread goes on."""
        try:
            while not self._queue.closed:
                self._take()
        finally:
            if not self._queue.closed:
                self._start_thread()

    def _take(self) -> None:
        item = self._queue.take()
        if isinstance(item, Job):
            self._run(item)
        elif item is not None:
            item()

    def _warm_model(self) -> None:
        with self._warming_up(LOADING):
            self.engines.warm()

    def _warm_embedder(self) -> None:
        """Load the embedder of the search; that takes as long as loading a small model."""
        from videopath.knowledge import KnowledgeBase

        with self._warming_up("loading the embedder"):
            try:
                KnowledgeBase.starter().search("tissue", k=1)
            except KnowledgeError as error:
                self.engines.problem = self.engines.problem or str(error)

    @contextmanager
    def _warming_up(self, activity: str) -> Iterator[None]:
        self._warming = (activity, time.time())
        try:
            yield
        finally:
            self._warming = ("", 0.0)

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        _log.info("Job of case %s: started.", job.case_id, extra={"case_id": job.case_id})
        try:
            try:
                self._follow(job)
            finally:
                job.release()
            self._board.update(job, phase="finished", activity="")
        except CaseStopped:
            self._board.update(job, phase="stopped", activity="")
        except VideoPathError as error:
            self._board.update(job, phase="failed", error=str(error))
        except OSError as error:
            self._board.update(job, phase="failed", error=os_sentence(error))
        except sqlite3.Error as error:
            self._board.update(
                job,
                phase="failed",
                error=f"The case library cannot be used ({error}). Free disk space, then resume the case.",
            )
        finally:
            self._board.update(
                job, phase="failed", error=_UNEXPECTED
            )  # no effect unless the job is still open
            self._log_end(job, time.monotonic() - started)

    def _log_end(self, job: Job, seconds: float) -> None:
        state = self._board.state(job.case_id)
        if state is not None:
            level = logging.ERROR if state.error == _UNEXPECTED else logging.INFO
            fields = {"case_id": job.case_id, "seconds": seconds, "device": state.device}
            _log.log(
                level, "Job of case %s: %s after %.1f s.", job.case_id, state.phase, seconds, extra=fields
            )

    def _follow(self, job: Job) -> None:
        from videopath.agent.cases.estimate import expected_activities, expected_seconds
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.trace import TRACE_NAME, read_trace
        from videopath.agent.replay import agent_of, second_spec_of, settings_of, spec_of

        library = load_case_library(self.home)
        settings = settings_of(library, job.case_id)
        done = len(read_trace(library.folder(job.case_id) / TRACE_NAME))
        expected = expected_activities(library, settings.model) | expected_seconds(library, settings.model)
        expected |= self.engines.expected_loading(settings.model)
        self._board.update(job, expected=expected, steps_done=done)
        self._board.update(job, phase="loading", activity=LOADING, step_started=time.time())
        spec = spec_of(settings, accept_licence=self.settings.accept_licence)
        engine = self.engines.get(spec)
        second = self._second_engine(second_spec_of(settings, accept_licence=self.settings.accept_licence))
        self._board.update(job, phase="running", activity="", device=engine.info.device)
        _raise_if_stopped(
            job
        )  # a job that was stopped while the model was loading has already released its case
        with agent_of(settings, self.home, spec=spec, engine=engine, second_opinion=second) as agent:
            steps = agent.stream_resume(
                job.case_id, job.decision, on_progress=lambda p: self._on_progress(job, p), held=True
            )
            for _ in steps:
                done += 1
                self._board.update(job, steps_done=done)
                _raise_if_stopped(job)

    def _second_engine(self, spec: EngineSpec | None) -> EngineSpec | Engine | None:
        """Return the loaded second model; its spec if it cannot be loaded, so that the case's own step says why."""
        try:
            return spec and self.engines.get(spec)
        except (EngineError, InputError, ModelError) as error:
            _log.warning("The second model of a case cannot be loaded: %s", error)
            return spec

    def _on_progress(self, job: Job, progress: Progress) -> None:
        _raise_if_stopped(job)
        if progress.kind == "started":
            self._board.begin_step(job, progress.step)
        elif progress.kind == "token":
            self._board.write(job, progress.text, progress.device)
        else:
            self._board.begin_activity(job, progress.text)


def _already_running(case_id: str) -> str:
    return f"Case {case_id} is already running: somebody else was faster. Look at the case again."


def _raise_if_stopped(job: Job) -> None:
    if job.stopped.is_set():
        raise CaseStopped
