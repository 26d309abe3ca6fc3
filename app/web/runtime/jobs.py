"""Submissions to the worker, its jobs, and the board with the state of each job."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from videopath.core.choices import ReviewMode

if TYPE_CHECKING:
    from videopath.agent import CaseRequest, Decision
    from videopath.agent.cases.storage.store import CaseLock

Phase = Literal["queued", "loading", "running", "stopping", "finished", "failed", "stopped"]

ENDED: tuple[Phase, ...] = ("finished", "failed", "stopped")
_KEPT = 200  # ended jobs on the board


@dataclass(frozen=True)
class Submission:
    """A new case with its owner and the settings of its agent."""

    case: CaseRequest
    owner: str
    model: str
    knowledge: Path | None = None  # None: the bundled starter
    review: ReviewMode = "never"
    frames: int | None = None  # None: the number that the model was trained with
    accept_uncalibrated: bool = False  # also report answers of a model without a fitted confidence
    second_opinion: str | None = None  # a second model for this case; None: that of the settings


@dataclass(frozen=True)
class JobState:
    """How far a case is: an immutable snapshot."""

    case_id: str
    owner: str
    phase: Phase
    position: int = 0  # 0: running or ended; 1: next; …
    step: str | None = None  # the running step of the graph
    step_started: float = 0.0  # time.time()
    text: str = ""  # what the model has written in this step so far
    activity: str = ""  # "loading the model", "encoding the video", "writing", …
    device: str | None = None
    error: str | None = None  # one sentence, with what to do
    steps_done: int = 0
    expected: dict[str, float] = field(default_factory=dict)  # seconds by step; empty if not known


@dataclass(eq=False)
class Job:
    """One run of a case, from the queue to its end; it holds the case's lock until then."""

    case_id: str
    owner: str
    lock: CaseLock
    decision: Decision | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Release the case's lock; further calls do nothing."""
        if self.lock.is_locked:
            self.lock.release()


class Board:
    """The current state of each case's latest job. Can be used from any thread."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, tuple[Job, JobState]] = OrderedDict()
        self._lock = threading.RLock()

    def enter(self, job: Job) -> bool:
        """Put a job on the board as queued; return False if the case has an open job."""
        with self._lock:
            if self._open(job.case_id):
                return False
            self._jobs[job.case_id] = (job, JobState(job.case_id, job.owner, "queued"))
            self._jobs.move_to_end(job.case_id)
            self._forget()
            return True

    def update(self, job: Job, **changes: Any) -> None:
        """Change the state of a job; nothing happens if it has ended or is no longer the case's latest."""
        with self._lock:
            latest, state = self._jobs.get(job.case_id, (None, None))
            if latest is job and state is not None and state.phase not in ENDED:
                self._jobs[job.case_id] = (job, replace(state, **changes))

    def begin_step(self, job: Job, step: str) -> None:
        """Note that a step of the graph begins."""
        self.update(job, phase="running", step=step, step_started=time.time(), text="", activity="")

    def begin_activity(self, job: Job, activity: str) -> None:
        """Note that an activity of the step begins; the text written so far becomes a paragraph."""
        with self._lock:
            state = self.state(job.case_id)
            if state is not None:
                text = f"{state.text.rstrip()}\n\n" if state.text else ""
                self.update(job, activity=activity, text=text)

    def write(self, job: Job, piece: str, device: str | None) -> None:
        """Add a piece of the model's answer."""
        with self._lock:
            state = self.state(job.case_id)
            if state is not None:
                self.update(job, text=state.text + piece, activity="writing", device=device)

    def job(self, case_id: str) -> Job | None:
        """Return the case's open job."""
        with self._lock:
            return self._jobs[case_id][0] if self._open(case_id) else None

    def state(self, case_id: str) -> JobState | None:
        """Return the state of a case's latest job; None if there is no job."""
        with self._lock:
            return self._jobs[case_id][1] if case_id in self._jobs else None

    def open_jobs(self) -> list[JobState]:
        """Return the states of all open jobs."""
        with self._lock:
            return [state for _, state in self._jobs.values() if state.phase not in ENDED]

    def _open(self, case_id: str) -> bool:
        return case_id in self._jobs and self._jobs[case_id][1].phase not in ENDED

    def _forget(self) -> None:
        ended = [case_id for case_id, (_, state) in self._jobs.items() if state.phase in ENDED]
        for case_id in ended[: max(0, len(ended) - _KEPT)]:
            del self._jobs[case_id]
