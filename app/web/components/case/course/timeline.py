"""The steps of a case from top to bottom, in rounds: finished, running, to come."""

from __future__ import annotations

import time

import streamlit as st

from videopath.agent import Step
from videopath.app.web.components.case.course.graph import steps_to_come
from videopath.app.web.components.case.course.rounds import answers, rounds_of
from videopath.app.web.components.case.course.steps import show_step
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView, title_of
from videopath.app.web.components.shared.words import explained
from videopath.app.web.runtime.jobs import ENDED, JobState
from videopath.app.web.runtime.services import services

_INTERVAL = 0.5  # seconds between two updates of a running case
_PHASES = {
    "queued": "In the queue",
    "loading": "Loading the model",
    "running": "Running",
    "stopping": "Stopping",
}


def timeline(view: CaseView) -> None:
    """Draw all steps; the running one is updated twice a second, the others when they are opened."""
    rounds = rounds_of(view.steps)
    answers(rounds)
    with st.container(key="timeline", gap="xsmall"):
        for one in rounds:
            if one.steps and len(rounds) > 1:
                st.header(inert(one.title), anchor=False, help=explained("look"))
            for number, step in one.steps:
                st.fragment(_finished)(number, step)
        if view.active and view.job is not None:
            last = view.steps[-1].name if view.steps else None
            st.fragment(_live, run_every=_INTERVAL)(view.job, len(view.steps), last, time.time())
        elif not view.steps:
            st.text("No step is finished yet.")


def _finished(number: int, step: Step) -> None:
    time_and_device = f"{step.seconds:.2f} s on {step.device or 'cpu'}"
    label = (
        f"**{number} · {inert(title_of(step.name))}** :gray[done in {inert(time_and_device)}]  \n"
        f"{inert(step.summary)}"
    )
    opened = st.expander(
        label,
        type="step",
        icon=":material/check_circle:",
        key=f"step_{number}_{step.name}",
        on_change="rerun",
    )
    with opened:
        if opened.open:
            show_step(step)
        else:
            st.empty()  # an expander without content cannot be opened


def _live(drawn_job: JobState, done: int, last: str | None, since: float) -> None:
    """Draw the running step; when a step or the case ends, draw the whole page again.

    Args:
        drawn_job: The job when the page was drawn.
        done: Number of finished steps.
        last: Name of the last finished step.
        since: When the page was drawn.
    """
    job = services().worker.state(drawn_job.case_id)
    if (
        job is None
        or job.phase in ENDED
        or (job.phase, job.steps_done) != (drawn_job.phase, drawn_job.steps_done)
    ):
        st.rerun()
    if job.phase == "queued":
        with st.container(key="queued"):
            st.info(position_in_words(job), icon=":material/schedule:")
        return
    number, name = done + 1, job.step or job.phase
    label = (
        f"**{number} · {inert(title_of(job.step))}** is running" if job.step else f"**{_PHASES[job.phase]}**"
    )
    with (
        st.container(key=f"step_{number}_{name}"),
        st.expander(label, type="step", icon="spinner", expanded=True),
    ):
        progress(job, since, last)
        if job.text:
            st.text(job.text.rstrip() + " ▌")
    coming = steps_to_come(job.step or last)
    if coming:
        st.caption("Then: " + " → ".join(inert(title_of(step)) for step in coming))


def position_in_words(job: JobState) -> str:
    """Return where a waiting case stands in the queue."""
    position = f"Place {job.position} in the queue" if job.position else "Next in the queue"
    return f"{position}. The case starts by itself; you can close this page."


def progress(job: JobState, since: float, last: str | None) -> None:
    """Draw activity, seconds and device, and the remaining time as estimated from earlier cases."""
    passed = max(0.0, time.time() - (job.step_started or since))
    usual = job.expected.get(job.step or job.activity, 0.0)  # before the first step: the loading
    parts = [
        job.activity or _PHASES[job.phase].lower(),
        f"{passed:.0f} s",
        f"on {job.device}" if job.device else "",
    ]
    if usual and passed > usual:
        parts.append(f"longer than usual ({usual:.0f} s)")
    elif usual:
        left = usual - passed + sum(job.expected.get(step, 0.0) for step in steps_to_come(job.step or last))
        parts.append(f"about {max(1, round(left))} s left in total")
    text = inert(" · ".join(part for part in parts if part))
    st.progress(min(passed / usual, 0.99) if usual else 0.0, text=text)
