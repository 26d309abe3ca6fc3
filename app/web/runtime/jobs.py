"""What goes into the worker and what it tells: requests, snapshots of jobs, and the board that holds them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from videopath.core.choices import ReviewMode

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from videopath.agent import CaseRequest, Decision

Phase = Literal["queued", "loading", "running", "stopping", "finished", "failed", "stopped"]

ENDED: tuple[Phase, ...] = ("finished", "failed", "stopped")
_KEPT = 200  # ended jobs that are still told


@dataclass(frozen=True)
class Submission:
    """A new case with its owner and with the agent that works on it."""

    case: CaseRequest
    owner: str
    model: str
    knowledge: Path | None = None  # None: the bundled starter
    review: ReviewMode = "never"
    frames: int | None = None  # None: what the model was trained with
    accept_uncalibrated: bool = False  # report answers of a model without a fitted confidence


@dataclass(frozen=True)
class JobState:
    """How far a case is: a snapshot, never changed."""

    case_id: str
    owner: str
    phase: Phase
    position: int = 0  # 0: at work (or ended); 1: next; …
    step: str | None = None  # the graph's step at work
    step_started: float = 0.0  # time.time()
    text: str = ""  # what the model has written in this step so far
    activity: str = ""  # "loading the model", "encoding the video", "writing", …
    device: str | None = None
    error: str | None = None  # one sentence, with what to do
    steps_done: int = 0
    expected: dict[str, float] = field(default_factory=dict)  # seconds by step; empty: not known


@dataclass(eq=False)
class Job:
    """One run of a case, from the queue to its end. It holds the case's lock all the while."""

    case_id: str
    owner: str
    lock: BaseFileLock
    decision: Decision | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let go of the case; nothing happens when that was done already."""
        if self.lock.is_locked:
            self.lock.release()


class Board:
    """The latest state of each case's latest job. Safe to use from any thread."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, tuple[Job, JobState]] = OrderedDict()
        self._lock = threading.RLock()

    def enter(self, job: Job) -> bool:
        """Show a job as queued; False when the case has one that did not end."""
        with self._lock:
            if self._open(job.case_id):
                return False
            self._jobs[job.case_id] = (job, JobState(job.case_id, job.owner, "queued"))
            self._jobs.move_to_end(job.case_id)
            self._forget()
            return True

    def update(self, job: Job, **changes: Any) -> None:
        """Change what is told of a job; one that ended or gave way to another of its case stays as it is."""
        with self._lock:
            shown, state = self._jobs.get(job.case_id, (None, None))
            if shown is job and state is not None and state.phase not in ENDED:
                self._jobs[job.case_id] = (job, replace(state, **changes))

    def begin_step(self, job: Job, step: str) -> None:
        """A step of the graph begins."""
        self.update(job, phase="running", step=step, step_started=time.time(), text="", activity="")

    def begin_activity(self, job: Job, activity: str) -> None:
        """Something else begins within the step; what the model has written stays, as a paragraph of its own."""
        with self._lock:
            state = self.state(job.case_id)
            if state is not None:
                text = f"{state.text.rstrip()}\n\n" if state.text else ""
                self.update(job, activity=activity, text=text)

    def write(self, job: Job, piece: str, device: str | None) -> None:
        """The model has written a piece of its answer."""
        with self._lock:
            state = self.state(job.case_id)
            if state is not None:
                self.update(job, text=state.text + piece, activity="writing", device=device)

    def job(self, case_id: str) -> Job | None:
        """The case's job that did not end yet."""
        with self._lock:
            return self._jobs[case_id][0] if self._open(case_id) else None

    def state(self, case_id: str) -> JobState | None:
        """What is told of a case; none when nothing is known of it."""
        with self._lock:
            return self._jobs[case_id][1] if case_id in self._jobs else None

    def open_jobs(self) -> list[JobState]:
        """The states of all jobs that did not end."""
        with self._lock:
            return [state for _, state in self._jobs.values() if state.phase not in ENDED]

    def _open(self, case_id: str) -> bool:
        return case_id in self._jobs and self._jobs[case_id][1].phase not in ENDED

    def _forget(self) -> None:
        ended = [case_id for case_id, (_, state) in self._jobs.items() if state.phase in ENDED]
        for case_id in ended[: max(0, len(ended) - _KEPT)]:
            del self._jobs[case_id]
