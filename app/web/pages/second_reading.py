"""The page of a second reading: the video alone, without the agent's or the signer's words, and the reader's diagnosis."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from videopath.agent.cases.records import CaseReport
from videopath.agent.cases.team.people import LONGEST_NAME, add_second_reading
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import go, open_case
from videopath.app.web.components.shared.view import CaseEvidence, CaseView, load_view
from videopath.app.web.components.viewer.column import viewer_column
from videopath.app.web.runtime.people import login, person, signer
from videopath.app.web.runtime.services import Services, services
from videopath.core.errors import CaseError, VideoPathError

_PROBLEM = "reading_problem"  # in the session: why the reading was not kept
_DONE = "reading_done"  # in the session: the case that was read
_CASE = "reading_of"  # in the session: the case that the form was filled for


def show() -> None:
    """Draw the case that the address names."""
    shared, case_id = services(), st.query_params.get("id", "")
    if st.session_state.pop(_DONE, None) == case_id and case_id:
        open_case(case_id)
    st.title("Second reading", anchor=False)
    try:
        view = load_view(shared, case_id)
        report = shared.library.get(case_id)
    except CaseError as error:
        st.info(inert(str(error)), icon=":material/info:")
        _to_worklist()
        return
    if report.status != "signed":
        st.info("Only a signed case is read a second time.", icon=":material/info:")
        _to_worklist()
        return
    st.text(
        "You see the video without the diagnoses of the agent and of the person who signed. Write your own; then both are "
        "compared. What was signed stays as it is."
    )
    left, right = st.columns([10, 8], gap="medium")
    with left, st.container(key="viewer_column"):
        viewer_column(_blind(view, report), shared)
    with right:
        _form(shared, report)


def _blind(view: CaseView, report: CaseReport) -> CaseView:
    """Return the view without anything that was said about the case."""
    bare = CaseReport(case_id=report.case_id, status="signed", settings=report.settings)
    steps = [step for step in view.steps if step.name == "intake"]
    return replace(view, report=bare, steps=steps, evidence=CaseEvidence())


def _form(shared: Services, report: CaseReport) -> None:
    state = st.session_state
    if state.get(_CASE) != report.case_id:
        state.update({_CASE: report.case_id, "reading_diagnosis": "", "reading_comment": ""})
    if login() or "reading_name" not in state:
        state["reading_name"] = person()
    with st.form("second_reading", border=True):
        st.text_input("Your diagnosis", key="reading_diagnosis")
        st.text_area("Comment", key="reading_comment", height=100)
        st.text_input("Your name", key="reading_name", max_chars=LONGEST_NAME, disabled=bool(login()))
        st.form_submit_button(
            "Keep my reading and compare",
            key="keep_reading",
            type="primary",
            icon=":material/compare:",
            on_click=_keep,
            args=(shared, report.case_id),
        )
        if problem := state.pop(_PROBLEM, ""):
            st.error(inert(problem), icon=":material/error:")


def _keep(shared: Services, case_id: str) -> None:
    state = st.session_state
    try:
        add_second_reading(
            shared.library,
            case_id,
            signer(state["reading_name"]),
            state["reading_diagnosis"],
            state["reading_comment"],
        )
    except VideoPathError as error:
        state[_PROBLEM] = str(error)
        return
    state[_DONE] = case_id


def _to_worklist() -> None:
    if st.button("Worklist", key="to_worklist", icon=":material/list_alt:"):
        go("worklist")
