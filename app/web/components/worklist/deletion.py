"""Deleting a case, once the person has said so twice.

The case in question is kept in the session, so that the dialog stays open while the page behind it is drawn again.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from videopath.app.web.runtime.services import Services
from videopath.core.errors import VideoPathError

_ASKED = "case_to_delete"


def ask_to_delete(case_id: str) -> None:
    """Open the dialog at the next drawing of the page (a button's ``on_click``)."""
    st.session_state[_ASKED] = case_id


def deletion_dialog(shared: Services) -> None:
    """The dialog, where it was asked for."""
    case_id = st.session_state.get(_ASKED)
    if case_id is not None:
        st.dialog("Delete this case?", on_dismiss=_forget)(_dialog)(shared, case_id)


def _dialog(shared: Services, case_id: str) -> None:
    st.text(case_id)
    st.markdown(
        "Its report, its frames, its trace and a video uploaded for it are removed. This cannot be undone."
    )
    others = _runs_of_its_upload(shared, case_id)
    if others:
        st.warning(
            f"{others} other case{'s' if others > 1 else ''} used the video uploaded for this one and will lose it.",
            icon=":material/warning:",
        )
    with st.container(horizontal=True):
        agreed = st.button("Delete", key="confirm_delete", type="primary", icon=":material/delete:")
        if st.button("Keep it", key="cancel_delete"):
            _forget()
            st.rerun()
    if agreed:
        if any(state.case_id == case_id for state in shared.worker.queue()):
            st.error("It is at work or waits for its turn: stop it first.", icon=":material/error:")
            return
        try:
            shared.library.delete(case_id)
        except VideoPathError as error:
            st.error("It was not deleted.", icon=":material/error:")
            st.text(str(error))
            return
        _forget()
        st.toast(f"Case {case_id} is deleted.", icon=":material/delete:")
        st.rerun()


def _forget() -> None:
    st.session_state.pop(_ASKED, None)


def _runs_of_its_upload(shared: Services, case_id: str) -> int:
    """How many other cases look at a file in this case's folder."""
    folder = shared.library.folder(case_id)
    return sum(
        entry.case_id != case_id and Path(entry.video).is_relative_to(folder)
        for entry in shared.library.list()
    )
