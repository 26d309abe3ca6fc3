"""The head of the case page: diagnosis, confidence, status, and what can be done now."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from videopath.agent.cases.records import CaseReport
from videopath.agent.report.phrases import (
    confidence_in_words,
    diagnosis_in_words,
    looks_in_words,
    outcome_title,
    question_in_words,
    sent_away_sentence,
    vouchers_in_words,
    writing_sentences,
)
from videopath.agent.report.statements import retrieval_sentence
from videopath.app.web.components.case.second_opinion import second_opinion
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import STATUSES, age
from videopath.app.web.components.shared.view import CaseView, load_view
from videopath.app.web.runtime.services import Services, owner
from videopath.core.errors import VideoPathError

_STATUS_OF_PHASE = {"loading": "running", "stopping": "running", "stopped": "interrupted"}
_RESUMABLE = ("interrupted", "stopped", "failed")
_INTERVAL = 2.0  # seconds between two checks of a case that another process works on
_PROBLEM = "case_problem"  # in the session: why a case could not be resumed


def outcome(view: CaseView, shared: Services) -> None:
    """Draw diagnosis, status and confidence, and the buttons for what can be done now."""
    with st.container(key="outcome"):
        st.title(inert(_headline(view)), anchor=False)
        with st.container(horizontal=True, vertical_alignment="center"):
            style = STATUSES[_STATUS_OF_PHASE.get(view.state, view.state)]
            st.badge(view.state, icon=style.icon, color=style.colour)
            report = view.report
            if report is not None and report.diagnosis and not report.has_persons_diagnosis:
                st.badge(f"confidence {confidence_in_words(report)}", icon=":material/speed:", color="gray")
            if report is not None and report.amended_diagnosis:
                st.badge(
                    inert(f"addendum: {report.amended_diagnosis}"), icon=":material/note_add:", color="orange"
                )
        entry = view.entry
        facts = (
            PurePath(entry.video).name,
            entry.site or "site not given",
            entry.model,
            age(entry.created),
            entry.case_id,
        )
        st.caption(" · ".join(inert(fact) for fact in facts))
        if view.report is not None:
            _basis(view.report)
        problem = st.session_state.pop(_PROBLEM, "")
        if problem:
            st.error(inert(problem), icon=":material/error:")
        _next_action(view, shared)


def unknown_case(why: str = "") -> None:
    """Draw the page if the address names no case, or a case that cannot be shown (``why``)."""
    st.title("Case", anchor=False)
    if why:
        st.error(inert(why), icon=":material/error:")
    else:
        st.info("Choose a case in the worklist, or start a new case.", icon=":material/info:")
    with st.container(horizontal=True):
        if st.button("Worklist", key="to_worklist", icon=":material/list_alt:"):
            go("worklist")
        if st.button("New case", key="to_new", icon=":material/add_circle:"):
            go("new")


def blind_sentence(view: CaseView) -> str:
    """Compare the blind with the final diagnosis in a sentence; empty until both exist."""
    blind, final = view.evidence.blind, view.evidence.final
    if not blind or not final:
        return ""
    if blind == final:
        return f"The model answered “{blind}” both without and with the similar cases: they did not change its answer."
    if view.report is not None:
        return (
            f"Without the similar cases the model answered “{blind}”, with them “{final}”. "
            f"{retrieval_sentence(view.report)}"
        )
    return f"Without the similar cases the model answered “{blind}”; they changed its answer to “{final}”."


def _headline(view: CaseView) -> str:
    if view.report is None or not view.report.diagnosis:
        return f"Case of {PurePath(view.entry.video).name}"
    label = diagnosis_in_words(view.report)
    unsure = (
        view.report.abstained and not view.report.has_persons_diagnosis and view.report.status != "rejected"
    )
    title = outcome_title(view.report).partition(",")[0]
    return f"{title}: {label}" if unsure else label[:1].upper() + label[1:]


def _basis(report: CaseReport) -> None:
    """The question, who vouches for the diagnosis, and the results of other looks."""
    if report.question:
        st.text(f"Question: {question_in_words(report)}")
    lines = [*(() if report.has_persons_diagnosis else vouchers_in_words(report)), *looks_in_words(report)]
    if lines:
        with st.container(key="looks", gap=None):
            for line in lines:
                st.text(line)
    if report.second_opinion is not None:
        second_opinion(report)
    if report.sent_to:
        st.warning(inert(sent_away_sentence(report.sent_to)), icon=":material/outbound:")


def _next_action(view: CaseView, shared: Services) -> None:
    """What the state means, with the button for it."""
    report = view.report
    if view.late_problem:
        st.error(inert(f"Your decision was not used. {view.late_problem}"), icon=":material/sync_problem:")
    if view.problem:
        st.error(inert(view.problem), icon=":material/error:")
    if view.active:
        _stop(view, shared)
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
    elif view.state == "waiting for review":
        st.info(
            "The case waits for a review: check the evidence, then decide below.",
            icon=":material/rate_review:",
        )
    elif view.state == "abstained":
        st.warning(
            "The agent abstained: it gives out no diagnosis.",
            icon=":material/help:",
        )
    if report is not None:
        box = st.warning if report.shows_writing else st.info
        for sentence in writing_sentences(report):
            box(inert(sentence), icon=":material/text_fields:")
    if report is not None and report.advice and view.state in ("abstained", "waiting for review"):
        with st.container(key="advice"):
            st.markdown("**Why the agent is not sure, and what would help**")
            for sentence in report.advice:
                st.text(f"• {sentence}")


def _redraw_if_changed(shared: Services, drawn_view: CaseView) -> None:
    """Draw the page again if the other process has finished a step, or has ended."""
    now = load_view(shared, drawn_view.case_id)
    if (now.state, len(now.steps)) != (drawn_view.state, len(drawn_view.steps)):
        st.rerun()


def _stop(view: CaseView, shared: Services) -> None:
    stopping = view.state == "stopping"
    st.button(
        "Stopping…" if stopping else "Stop",
        key="stop",
        icon=":material/stop_circle:",
        disabled=stopping,
        on_click=shared.worker.stop,
        args=(view.case_id,),
    )


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
