"""The page of one case: the video on the left; evidence, course, questions and record on the right; the decision below."""

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
    from videopath.app.web.components.case.decision.bar import decision_bar
    from videopath.app.web.components.case.outcome import outcome
    from videopath.app.web.components.case.style import case_style
    from videopath.app.web.components.case.tabs import tabs
    from videopath.app.web.components.viewer.column import viewer_column

    case_style()
    outcome(view, shared)
    decision_bar(view, shared)  # before what takes longer: it stands below the page wherever it is drawn
    left, right = st.columns([10, 11], gap="medium")
    with left, st.container(key="viewer_column"):
        viewer_column(view, shared)
    with right:
        tabs(view, shared)
