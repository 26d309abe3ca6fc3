"""Cases that other processes work on: how far they are, and a worker that leaves all cases to them.

It does not depend on Streamlit.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.web.runtime.jobs import JobState, Submission
from videopath.app.web.runtime.worker import Worker
from videopath.core.settings import Settings

if TYPE_CHECKING:
    from videopath.agent import CaseLibrary, Decision

OTHERS = "another process"
"""The owner of cases that other processes work on."""


class QueueingWorker(Worker):
    """Puts all cases into the library's queue, for ``videopath worker``.

    Only questions that belong to no case are answered in this process, by the settings' model.
    """

    def warm(self) -> None:
        """Do nothing: the model is loaded where the cases are worked on."""

    def submit(self, submission: Submission) -> None:
        """Enter a new case into the library's queue; errors are those of :meth:`Worker.submit`."""
        submission = self._confined(submission)
        with self._agent_of(submission) as agent:
            agent.begin_case(submission.case, queued=True)

    def resume(self, case_id: str, owner: str, decision: Decision | None = None) -> None:
        """Put a case into the library's queue; arguments and errors are those of :meth:`Worker.resume`."""
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.cases.team.queue import CaseQueue

        library = load_case_library(self.home)
        entry = library.entry(case_id)
        if decision is None:
            if entry.state != "running":
                CaseQueue(library).put(case_id)
            return
        self._refuse_stale(case_id, decision)
        CaseQueue(library).put(case_id, self._answering(case_id, decision))

    def queue(self) -> list[JobState]:
        """Return the running and waiting cases of the library's queue, in their order."""
        from videopath.agent.cases.library import load_case_library

        return queued_states(load_case_library(self.home))

    def _answering(self, case_id: str, decision: Decision) -> Decision:
        """Return the decision with the id of the review that it answers."""
        if decision.interrupt_id is not None:
            return decision
        from videopath.agent.cases.library import load_case_library
        from videopath.agent.replay import agent_of, settings_of

        library = load_case_library(self.home)
        with agent_of(settings_of(library, case_id), library) as agent:
            waiting = agent.pending(case_id)
        return decision.model_copy(update={"interrupt_id": waiting and waiting.id})


def queued_states(library: CaseLibrary) -> list[JobState]:
    """Return the states of the cases in a library's queue: first those that are worked on, then the waiting ones."""
    from videopath.agent.cases.team.queue import CaseQueue

    queue = CaseQueue(library)
    at_work, waiting = queue.split()
    running = [JobState(case_id, OTHERS, "running") for case_id in at_work]
    return running + [
        JobState(case_id, OTHERS, "queued", position) for position, case_id in enumerate(waiting, start=1)
    ]


def queued_state(library: CaseLibrary, case_id: str) -> JobState | None:
    """Return how far a case in a library's queue is, from its trace; None if it is not in the queue."""
    from videopath.agent.cases.team.queue import CaseQueue
    from videopath.agent.cases.trace import TRACE_NAME, read_trace

    if not CaseQueue(library).has(case_id):
        return None
    state = next((one for one in queued_states(library) if one.case_id == case_id), None)
    if state is None or state.phase == "queued":
        return state
    steps = read_trace(library.folder(case_id) / TRACE_NAME)
    ends = [
        datetime.fromisoformat(step.started).timestamp() + step.seconds for step in steps[-1:] if step.started
    ]
    return replace(state, steps_done=len(steps), step_started=ends[0] if ends else 0.0)


def worker_of(home: Path, settings: Settings) -> Worker:
    """Return the worker that the settings ask for."""
    return Worker(home, settings) if settings.worker else QueueingWorker(home, settings)
