"""One case: its steps as they happen, its evidence, its review."""

from __future__ import annotations

import streamlit as st

from videopath.app.web.services import services
from videopath.core.errors import CaseError


def show() -> None:
    """The case that the address names."""
    st.title("Case")
    case_id = st.query_params.get("id")
    if not case_id:
        st.info("Choose a case in the worklist, or begin a new one.")
        return
    st.text(case_id)
    state = services().worker.state(case_id)
    if state is not None:
        st.text(f"{state.phase}: {state.step or ''} {state.text}")
    try:
        st.text(services().library.get(case_id).diagnosis)
    except CaseError as error:
        st.text(str(error))
