"""The tabs of the case page: each is drawn when it is opened."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services

EVIDENCE, COURSE, ASK, RECORD = "Evidence", "How it got there", "Ask", "Record"
_TAB = "case_tab"  # in the session: the open tab
_RUNNING = "case_tab_running"  # the same while the case runs, when its course is shown first
_NEXT = "case_tab_next"  # in the session: the tab to open
_CASE = "case_of_tab"  # in the session: the case for which the tab was opened


def open_tab(name: str) -> None:
    """Open a tab when the page is drawn next."""
    st.session_state[_NEXT] = name


def tabs(view: CaseView, shared: Services) -> None:
    """Draw the row of tabs and what the open one holds."""
    if st.session_state.get(_CASE) not in (None, view.case_id):
        st.session_state.pop(_TAB, None)
    st.session_state[_CASE] = view.case_id
    if _NEXT in st.session_state and view.report is not None:  # a tab that is not drawn would be forgotten
        st.session_state[_TAB] = st.session_state.pop(_NEXT)
    draw: dict[str, Callable[[CaseView, Services], None]] = {
        EVIDENCE: _evidence,
        COURSE: _course,
        ASK: _ask,
        RECORD: _record,
    }
    if view.report is None:
        draw = {COURSE: _course, EVIDENCE: _evidence}
    key = _TAB if view.report is not None else _RUNNING
    if st.session_state.get(key) not in draw:
        st.session_state.pop(key, None)
    for tab, (name, part) in zip(st.tabs(list(draw), key=key, on_change="rerun"), draw.items(), strict=True):
        if tab.open:
            with tab, st.container(key=f"tab_{list(draw).index(name)}"):
                part(view, shared)


def _evidence(view: CaseView, shared: Services) -> None:
    from videopath.app.web.components.case.evidence.abstention import abstained, abstention
    from videopath.app.web.components.case.evidence.differential import differential
    from videopath.app.web.components.case.evidence.neighbours import neighbours
    from videopath.app.web.components.case.outcome import basis, writing_notes

    if abstained(view.report):
        abstention(view, shared)
        neighbours(view, shared)
        differential(view.evidence.differential, few=True)
    else:
        differential(view.evidence.differential)
        neighbours(view, shared)
    if view.report is not None:
        basis(view.report)
        writing_notes(view.report)


def _course(view: CaseView, shared: Services) -> None:
    from videopath.app.web.components.case.course.graph import graph
    from videopath.app.web.components.case.course.timeline import timeline

    timeline(view)
    with st.expander("The graph, with the path taken", icon=":material/account_tree:", key="show_graph"):
        graph(view)


def _ask(view: CaseView, shared: Services) -> None:
    from videopath.app.web.components.case.asking import asking

    asking(view, shared)


def _record(view: CaseView, shared: Services) -> None:
    from videopath.app.web.components.case.decision.review import reviewed
    from videopath.app.web.components.case.decision.signout import record
    from videopath.app.web.components.case.record.audit import audit_list
    from videopath.app.web.components.case.record.second_readings import second_readings
    from videopath.app.web.components.case.record.statements import statement_table

    assert view.report is not None
    statement_table(view.report)
    record(view.report, shared)
    second_readings(view.report)
    if view.report.status in ("signed", "rejected"):  # the statements above say it
        with st.expander("Decisions, and what was changed", key="decisions_fold"):
            reviewed(view.report)
    else:
        reviewed(view.report)
    with st.expander("Who did what", key="audit_fold"):
        audit_list(view, shared)
