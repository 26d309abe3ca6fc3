"""The worker: runs the cases one after the other in a thread of the server, whoever looks on or has gone.

It knows nothing of Streamlit. A case is in the library from the moment it is submitted, so one that waits or runs
when the server is killed is resumed like any other that was interrupted.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.cli.errors import os_sentence
from videopath.app.web.runtime.engine_questions import Answer, question
from videopath.app.web.runtime.engines import LOADING, Engines
from videopath.app.web.runtime.fair_queue import FairQueue
from videopath.app.web.runtime.jobs import Board, Job, JobState, Phase, Submission
from videopath.core.errors import CaseError, KnowledgeError, VideoPathError
from videopath.core.folders import model_named_by_visitor, named_by_visitor
from videopath.core.settings import Settings
from videopath.model.inference.spec import EngineSpec

if TYPE_CHECKING:
    from videopath.agent import Decision, DiagnosticAgent, Progress
    from videopath.model.inference.engine import LocalEngine

__all__ = ["JobState", "Phase", "Submission", "Worker"]

_log = logging.getLogger(__name__)

_UNFORESEEN = "VideoPath failed in a way that it should not. The server's log says where; report it, and resume the case."


class CaseStopped(BaseException):
    """Ends the run of a case between two tokens. No ``Exception``: nothing on the way may take it for a failure."""


class Worker:
    """Runs the cases of one home folder, fair to their owners, one at a time."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home = home
        self.settings = settings
        self.engines = Engines(home, settings)
        self._queue: FairQueue[Job | Callable[[], None]] = FairQueue()
        self._board = Board()
        self._warm = threading.Event()
        self._warming = ("", 0.0)  # what is loaded before a case needs it, and since when
        self._start_thread()

    def warm(self) -> None:
        """Load the settings' model before a case needs it, then the embedder; asked again, nothing happens."""
        if not self._warm.is_set():
            self._warm.set()
            self._queue.put("", self._warm_model)
            self._queue.put("", self._warm_embedder)

    def submit(self, submission: Submission) -> None:
        """Enter a new case and queue it.

        Raises ``InputError`` for a video, site or question that cannot be used or a path that may not be named,
        ``CaseError`` when the id is taken.
        """
        submission = self._confined(submission)
        with self._agent_of(submission) as agent:
            case_id = agent.begin_case(submission.case)
        self._enqueue(case_id, submission.owner)

    def resume(self, case_id: str, owner: str, decision: Decision | None = None) -> None:
        """Queue a case that was interrupted, failed or waits for this decision.

        A case that is queued or at work here already is left alone. Raises ``CaseError`` for an unknown case, for one
        that another process works on, and for a decision that is stale, repeated or not asked for.
        """
        from videopath.agent.cases.library import load_case_library

        load_case_library(self.home).entry(case_id)
        if self._board.job(case_id) is not None:
            if decision is not None:
                raise CaseError(
                    f"Case {case_id} is at work already: somebody else was faster. Look at it again."
                )
            return
        if decision is not None:
            self._refuse_stale(case_id, decision)
        if not self._enqueue(case_id, owner, decision) and decision is not None:
            raise CaseError(f"Case {case_id} is at work already: somebody else was faster. Look at it again.")

    def ask(self, owner: str, work: Callable[[LocalEngine], Answer]) -> Future[Answer]:
        """Queue a question to the settings' engine that belongs to no case; it takes its turn like the cases."""
        spec = EngineSpec.from_settings(self.settings)
        answer, task = question(lambda: self.engines.get(spec), work)
        self._queue.put(owner, task)
        return answer

    def stop(self, case_id: str) -> None:
        """Stop a case between two tokens; it stays resumable. Nothing happens to one that is not at work."""
        job = self._board.job(case_id)
        if job is None:
            return
        job.stopped.set()
        state = self._board.state(case_id)
        if self._queue.remove(lambda item: item is job) or (state and state.phase == "loading"):
            job.release()
            self._board.update(job, phase="stopped", activity="")
        else:
            self._board.update(job, phase="stopping")

    def state(self, case_id: str) -> JobState | None:
        """How far a case is; none when this worker never had it, or it ended long ago."""
        state = self._board.state(case_id)
        return state and self._placed(state, self._places())

    def queue(self) -> list[JobState]:
        """The cases at work and waiting, in their order."""
        places = self._places()
        states = [self._placed(state, places) for state in self._board.open_jobs()]
        return sorted(states, key=lambda state: state.position)

    def close(self, timeout: float | None = None) -> bool:
        """Stop what runs and take no more; what is open stays resumable. Says whether all ended in time (seconds)."""
        self._queue.close()
        for state in self._board.open_jobs():
            self.stop(state.case_id)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _places(self) -> dict[str, int]:
        """Case → its place among those that wait, from 1."""
        waiting = [item for item in self._queue.waiting() if isinstance(item, Job)]
        return {job.case_id: place for place, job in enumerate(waiting, start=1)}

    def _placed(self, state: JobState, places: dict[str, int]) -> JobState:
        """A state with its place in the queue. The next case is told what is loaded for it already."""
        place = places.get(state.case_id, 0)
        if state.phase != "queued" or not place:
            return state
        what, since = self._warming
        if place > 1 or not what:
            return replace(state, position=place)
        expected = self.engines.expected_loading(self.settings.model)
        return replace(state, phase="loading", activity=what, step_started=since, expected=expected)

    def _enqueue(self, case_id: str, owner: str, decision: Decision | None = None) -> bool:
        """Queue a case, held for this worker from now on; False where it is queued or at work here already."""
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.signing import decision_not_kept

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
            knowledge=submission.knowledge,
            review=submission.review,
            frames=submission.frames,
            accept_uncalibrated=submission.accept_uncalibrated,
            home=self.home,
        )

    def _confined(self, submission: Submission) -> Submission:
        """Return the submission with the files that its paths lead to; raise for one that may not be named."""
        case, knowledge = submission.case, submission.knowledge
        return replace(
            submission,
            case=replace(case, video=named_by_visitor(Path(case.video), self.settings)),
            model=model_named_by_visitor(submission.model, self.settings),
            knowledge=knowledge and named_by_visitor(knowledge, self.settings),
        )

    def _refuse_stale(self, case_id: str, decision: Decision) -> None:
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.signing import decision_not_kept
        from videopath.agent.replay import agent_of, settings_of

        library = load_case_library(self.home)
        with agent_of(settings_of(library, case_id), self.home) as agent:
            if agent.pending(case_id) is None:
                lost = decision_not_kept(decision)
                raise CaseError(
                    f"Case {case_id} does not wait for a decision: it was given already, by somebody else or in "
                    f"another window. Look at the case again.{lost}"
                )
            agent.check(case_id, decision)  # stale, or a revision that cannot be carried out

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._work, name="videopath-worker", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        """Case after case. An error that nobody foresaw ends this thread, with its traceback in the log, and the
        next cases get another one."""
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
        with self._telling(LOADING):
            self.engines.warm()

    def _warm_embedder(self) -> None:
        """What looks for similar cases takes as long to load as a small model."""
        from videopath.knowledge import KnowledgeBase

        with self._telling("loading the embedder"):
            try:
                KnowledgeBase.starter().search("tissue", k=1)
            except KnowledgeError as error:
                self.engines.problem = self.engines.problem or str(error)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        self._warming = (what, time.time())
        try:
            yield
        finally:
            self._warming = ("", 0.0)

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        _log.info("Job of case %s: begun.", job.case_id)
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
                error=f"The case library cannot be used ({error}): free its disk and resume.",
            )
        finally:
            self._board.update(job, phase="failed", error=_UNFORESEEN)  # none of the above: still open
            self._log_end(job, time.monotonic() - started)

    def _log_end(self, job: Job, seconds: float) -> None:
        state = self._board.state(job.case_id)
        if state is not None:
            level = logging.ERROR if state.error == _UNFORESEEN else logging.INFO
            _log.log(level, "Job of case %s: %s after %.1f s.", job.case_id, state.phase, seconds)

    def _follow(self, job: Job) -> None:
        from videopath.agent.cases.estimate import expected_activities, expected_seconds
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.trace import TRACE_NAME, read_trace
        from videopath.agent.replay import agent_of, settings_of, spec_of

        library = load_case_library(self.home)
        settings = settings_of(library, job.case_id)
        done = len(read_trace(library.folder(job.case_id) / TRACE_NAME))
        expected = expected_activities(library, settings.model) | expected_seconds(library, settings.model)
        expected |= self.engines.expected_loading(settings.model)
        self._board.update(job, expected=expected, steps_done=done)
        self._board.update(job, phase="loading", activity=LOADING, step_started=time.time())
        spec = spec_of(settings, accept_licence=self.settings.accept_licence)
        engine = self.engines.get(spec)
        self._board.update(job, phase="running", activity="", device=engine.info.device)
        _check(job)  # after that: who stopped it while it was loading has let go of the case
        with agent_of(settings, self.home, spec=spec, engine=engine) as agent:
            steps = agent.stream_resume(
                job.case_id, job.decision, on_progress=lambda p: self._hear(job, p), held=True
            )
            for _ in steps:
                done += 1
                self._board.update(job, steps_done=done)
                _check(job)

    def _hear(self, job: Job, progress: Progress) -> None:
        _check(job)
        if progress.kind == "started":
            self._board.begin_step(job, progress.step)
        elif progress.kind == "token":
            self._board.write(job, progress.text, progress.device)
        else:
            self._board.begin_activity(job, progress.text)


def _check(job: Job) -> None:
    if job.stopped.is_set():
        raise CaseStopped
