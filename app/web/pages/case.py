"""The page of one case: its steps as they happen, its evidence, its review and its sign-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.runtime.services import Services, services
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.app.web.components.shared.view import CaseView

_LAST = "last_case"  # in the session: the case to show if the address names none


def show() -> None:
    """Draw the case that the address names."""
    from videopath.app.web.components.case.outcome import unknown_case
    from videopath.app.web.components.shared.view import load_view

    shared, case_id = services(), st.query_params.get("id") or st.session_state.get(_LAST)
    if not case_id:
        unknown_case()
        return
    try:
        view = load_view(shared, case_id)
    except CaseError as error:
        st.session_state.pop(_LAST, None)
        unknown_case(str(error))
        return
    st.session_state[_LAST] = case_id
    if st.query_params.get("id") != case_id:
        st.query_params["id"] = case_id
    _case(view, shared)


def _case(view: CaseView, shared: Services) -> None:
    from videopath.agent.report.phrases import left_out_sentences
    from videopath.agent.report.sections import ReportSection
    from videopath.app.web.components.case.differential import differential
    from videopath.app.web.components.case.findings import findings
    from videopath.app.web.components.case.graph import graph
    from videopath.app.web.components.case.neighbours import neighbours
    from videopath.app.web.components.case.outcome import blind_sentence, outcome
    from videopath.app.web.components.case.questions import asked_afterwards
    from videopath.app.web.components.case.review import refused_decision
    from videopath.app.web.components.case.statements import statement_table
    from videopath.app.web.components.case.style import case_style
    from videopath.app.web.components.case.timeline import timeline

    case_style()
    refused_decision()
    outcome(view, shared)
    if view.report is not None:
        statement_table(view.report)
    steps, evidence = st.columns(2, gap="large")
    with steps:
        st.subheader(ReportSection.STEPS.value, anchor=False)
        timeline(view)
        with st.expander("The graph, with the path taken", icon=":material/account_tree:", key="show_graph"):
            graph(view)
        differential(view.evidence.differential)
    with evidence:
        st.fragment(findings)(view)  # a click draws only this part again
    left_out = left_out_sentences(view.report) if view.report else []
    neighbours(view.evidence.similar, blind_sentence(view), left_out, view.evidence.vote)
    if view.report is not None:
        asked_afterwards(shared.library.questions(view.case_id))
    _decision(view, shared)


def _decision(view: CaseView, shared: Services) -> None:
    """The decisions of people, and the form for the next one."""
    from videopath.app.web.components.case.review import review, reviewed
    from videopath.app.web.components.case.signout import signout

    if view.report is None:
        return
    reviewed(view.report)
    if view.report.status == "waiting for review":
        if view.state != "running":  # unless another process works on it
            review(view, shared)
    else:
        signout(view, shared)
