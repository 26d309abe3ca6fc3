"""The steps of a case from top to bottom: those that are done, the one at work, those to come."""

from __future__ import annotations

import time

import streamlit as st

from videopath.agent import Step
from videopath.app.web.components.case.graph import steps_to_come
from videopath.app.web.components.case.steps import show_step
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView, title_of
from videopath.app.web.runtime.jobs import ENDED, JobState
from videopath.app.web.runtime.services import services

_TICK = 0.5  # seconds between two looks at a running case
_PHASES = {
    "queued": "In the queue",
    "loading": "Loading the model",
    "running": "At work",
    "stopping": "Stopping",
}


def timeline(view: CaseView) -> None:
    """All steps; the running one is drawn again twice a second until it ends, the others when they are opened."""
    with st.container(key="timeline", gap="xsmall"):
        for number, step in enumerate(view.steps, 1):
            st.fragment(_finished)(number, step)
        if view.active and view.job is not None:
            last = view.steps[-1].name if view.steps else None
            st.fragment(_live, run_every=_TICK)(view.job, len(view.steps), last, time.time())
        elif not view.steps:
            st.text("No step is done yet.")


def _finished(number: int, step: Step) -> None:
    told = f"{step.seconds:.2f} s on {step.device or 'cpu'}"
    label = (
        f"**{number} · {inert(title_of(step.name))}** :gray[done in {inert(told)}]  \n{inert(step.summary)}"
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
            st.empty()  # a step without anything in it could not be opened


def _live(drawn: JobState, done: int, last: str | None, since: float) -> None:
    """The step at work. When a step or the case ends, the whole page is drawn again: there is more to see then.

    ``drawn`` is the job when the page was drawn, at ``since``; ``done`` steps stand above, ``last`` the latest.
    """
    job = services().worker.state(drawn.case_id)
    if job is None or job.phase in ENDED or (job.phase, job.steps_done) != (drawn.phase, drawn.steps_done):
        st.rerun()
    if job.phase == "queued":
        _queued(job)
        return
    number, name = done + 1, job.step or job.phase
    label = (
        f"**{number} · {inert(title_of(job.step))}** is at work now"
        if job.step
        else f"**{_PHASES[job.phase]}**"
    )
    with (
        st.container(key=f"step_{number}_{name}"),
        st.expander(label, type="step", icon="spinner", expanded=True),
    ):
        _progress(job, since, last)
        if job.text:
            st.text(job.text.rstrip() + " ▌")
    coming = steps_to_come(job.step or last)
    if coming:
        st.caption("Then: " + " → ".join(inert(title_of(step)) for step in coming))


def _queued(job: JobState) -> None:
    place = f"Place {job.position} in the queue" if job.position else "Next in the queue"
    with st.container(key="queued"):
        st.info(
            f"{place}. The case begins by itself; this page may be closed meanwhile.",
            icon=":material/schedule:",
        )


def _progress(job: JobState, since: float, last: str | None) -> None:
    """Activity, seconds, device, and how much is left as far as earlier cases tell."""
    passed = max(0.0, time.time() - (job.step_started or since))
    usual = job.expected.get(job.step or job.activity, 0.0)  # before the first step: of loading
    told = [
        job.activity or _PHASES[job.phase].lower(),
        f"{passed:.0f} s",
        f"on {job.device}" if job.device else "",
    ]
    if usual and passed > usual:
        told.append(f"longer than usual ({usual:.0f} s)")
    elif usual:
        left = usual - passed + sum(job.expected.get(step, 0.0) for step in steps_to_come(job.step or last))
        told.append(f"about {max(1, round(left))} s left in all")
    text = inert(" · ".join(part for part in told if part))
    st.progress(min(passed / usual, 0.99) if usual else 0.0, text=text)
