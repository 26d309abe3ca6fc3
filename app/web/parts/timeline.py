"""The steps of a case from top to bottom: those that are done, the one at work, those to come."""

from __future__ import annotations

import time

import streamlit as st

from videopath.agent import Step
from videopath.app.web.jobs import ENDED, JobState
from videopath.app.web.parts.graph import steps_to_come
from videopath.app.web.parts.inert import inert
from videopath.app.web.parts.steps import show_step
from videopath.app.web.parts.view import CaseView, title_of
from videopath.app.web.services import services

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
            st.fragment(_live, run_every=_TICK)(view.case_id, _mark(view.job), len(view.steps))
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


def _live(case_id: str, drawn: tuple[object, ...], done: int) -> None:
    """The step at work. When a step or the case ends, the whole page is drawn again: there is more to see then."""
    job = services().worker.state(case_id)
    if job is None or job.phase in ENDED or _mark(job) != drawn:
        st.rerun()
    if job.phase == "queued":
        _queued(job)
        return
    name = title_of(job.step) if job.step else _PHASES[job.phase]
    number = done + 1
    key = f"step_{number}_{job.step}" if job.step else "step_loading"
    with (
        st.container(key=key),
        st.expander(
            f"**{number} · {inert(name)}** {_PHASES[job.phase].lower()} now",
            type="step",
            icon="spinner",
            expanded=True,
        ),
    ):
        _progress(job)
        if job.text:
            st.text(job.text + " ▌")
    coming = steps_to_come(job.step)
    if coming:
        st.caption("Then: " + " → ".join(inert(title_of(step)) for step in coming))


def _queued(job: JobState) -> None:
    place = f"Place {job.position} in the queue" if job.position else "Next in the queue"
    with st.container(key="queued"):
        st.info(
            f"{place}. The case begins by itself; this page may be closed meanwhile.",
            icon=":material/schedule:",
        )


def _progress(job: JobState) -> None:
    """Activity, seconds, device, and how much is left as far as earlier cases tell."""
    passed = max(0.0, time.time() - job.step_started) if job.step_started else 0.0
    usual = job.expected.get(job.step or "", 0.0)
    told = [
        job.activity or _PHASES[job.phase].lower(),
        f"{passed:.0f} s",
        f"on {job.device}" if job.device else "",
    ]
    left = _seconds_left(job, passed)
    if left is not None:
        told.append(f"about {max(1, round(left))} s left in all")
    text = inert(" · ".join(part for part in told if part))
    st.progress(min(passed / usual, 0.99) if usual else 0.0, text=text)


def _seconds_left(job: JobState, passed: float) -> float | None:
    if not job.step or job.step not in job.expected:
        return None
    later = sum(job.expected.get(step, 0.0) for step in steps_to_come(job.step))
    return max(job.expected[job.step] - passed, 0.0) + later


def _mark(job: JobState) -> tuple[object, ...]:
    """What the page outside the live part depends on."""
    return job.phase, job.steps_done
