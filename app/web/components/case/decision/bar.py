"""The bar below the case page, always in reach: what can be done now, what runs, and what went wrong."""

from __future__ import annotations

import time

import streamlit as st

from videopath.agent.cases.records import CaseReport
from videopath.app.web.components.case.course.timeline import position_in_words, progress
from videopath.app.web.components.case.decision.next_case import next_case
from videopath.app.web.components.case.decision.review import (
    confirmation,
    refused_decision,
    review,
    times_unfolded,
    undo,
)
from videopath.app.web.components.case.decision.signout import signed_bar
from videopath.app.web.components.case.page_aid import page_aid
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView, load_view, title_of
from videopath.app.web.runtime.jobs import ENDED, JobState
from videopath.app.web.runtime.services import Services, owner, services
from videopath.core.errors import VideoPathError

_RESUMABLE = ("interrupted", "stopped", "failed")
_INTERVAL = 2.0  # seconds between two checks of a case that another process works on
_LIVE = 0.5  # seconds between two updates of a running case
_PROBLEM = "case_problem"  # in the session: why a case could not be resumed


def decision_bar(view: CaseView, shared: Services) -> None:
    """Draw the bar, and the question before a signature if one is open."""
    with st.bottom, st.container(key="decision_bar", gap="xsmall"):
        if not view.active:  # while it runs, the running step is announced
            page_aid(f"The case is {view.state}.", times_unfolded())
        _content(view, shared)
    confirmation(view, shared)


def _content(view: CaseView, shared: Services) -> None:
    _problems(view)
    report = view.report
    if view.active and view.job is not None:
        st.fragment(_live, run_every=_LIVE)(view.job, len(view.steps), _last_step(view), time.time())
    elif view.state == "running":
        st.info("Another process is working on this case.", icon=":material/progress_activity:")
        st.fragment(_redraw_if_changed, run_every=_INTERVAL)(shared, view)
    elif view.state == "failed":
        st.error(inert(f"The case failed. {view.error}"), icon=":material/error:")
        _resume(view, shared, "Try again")
    elif view.state in _RESUMABLE:
        st.warning(
            "The case was interrupted. Its finished steps are kept; it continues from there.",
            icon=":material/pause_circle:",
        )
        _resume(view, shared, "Resume")
    elif report is not None and report.status in ("waiting for review", "done", "abstained"):
        review(view, shared)
    elif report is not None:
        _decided(report, shared)


def _decided(report: CaseReport, shared: Services) -> None:
    """Who signed or rejected the case; for a minute, the way back."""
    with st.container(horizontal=True, vertical_alignment="center", key="decided"):
        with st.container(key="decided_by", width="stretch"):
            if report.status == "signed":
                signed_bar(report)
            else:
                st.warning("A person rejected this case: it is not signed.", icon=":material/thumb_down:")
        next_case(report.case_id, shared)
        undo(report, shared)


def _problems(view: CaseView) -> None:
    """Why the last click had no effect, beside its button."""
    refused_decision()
    problem = st.session_state.pop(_PROBLEM, "")
    if problem:
        st.error(inert(problem), icon=":material/error:")
    if view.late_problem:
        st.error(inert(f"Your decision was not used. {view.late_problem}"), icon=":material/sync_problem:")
    if view.problem:
        st.error(inert(view.problem), icon=":material/error:")


def _announcement(job: JobState, done: int) -> str:
    """What a screen reader says when another step runs."""
    if job.phase == "queued":
        return position_in_words(job)
    finished = f"{done} steps are done. " if done else ""
    return finished + (f"{title_of(job.step)} is running." if job.step else "The model is being loaded.")


def _last_step(view: CaseView) -> str | None:
    return view.steps[-1].name if view.steps else None


def _live(drawn_job: JobState, done: int, last: str | None, since: float) -> None:
    """Show what runs, twice a second; when a step or the case ends, draw the whole page again."""
    job = services().worker.state(drawn_job.case_id)
    drawn = (drawn_job.phase, drawn_job.steps_done)
    if job is None or job.phase in ENDED or (job.phase, job.steps_done) != drawn:
        st.rerun()
    page_aid(_announcement(job, done))
    with st.container(horizontal=True, vertical_alignment="center", key="running"):
        with st.container(key="running_step", gap="xsmall"):
            if job.phase == "queued":
                st.text(position_in_words(job))
            else:
                number = f"{done + 1} · {inert(title_of(job.step))} is running" if job.step else "Starting"
                st.markdown(f":material/progress_activity: **{number}**")
                progress(job, since, last)
        stopping = job.phase == "stopping"
        st.button(
            "Stopping…" if stopping else "Stop",
            key="stop",
            icon=":material/stop_circle:",
            disabled=stopping,
            on_click=services().worker.stop,
            args=(job.case_id,),
        )


def _redraw_if_changed(shared: Services, drawn_view: CaseView) -> None:
    """Draw the page again if the other process has finished a step, or has ended."""
    now = load_view(shared, drawn_view.case_id)
    if (now.state, len(now.steps)) != (drawn_view.state, len(drawn_view.steps)):
        st.rerun()


def _resume(view: CaseView, shared: Services, label: str) -> None:
    st.button(
        label,
        key="resume",
        icon=":material/play_arrow:",
        type="primary",
        on_click=_queue,
        args=(shared, view.case_id),
    )


def _queue(shared: Services, case_id: str) -> None:
    try:
        shared.worker.resume(case_id, owner())
    except VideoPathError as error:
        st.session_state[_PROBLEM] = str(error)
