"""Deleting a case, after a question.

The session holds the id of the case, so that the dialog stays open while the page behind it is drawn again.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from videopath.app.web.runtime.services import Services
from videopath.core.errors import VideoPathError
from videopath.core.privacy.paths import screened_path

_CASE_TO_DELETE = "case_to_delete"  # in the session: the id


def ask_to_delete(case_id: str) -> None:
    """Open the dialog when the page is drawn next (a button's ``on_click``)."""
    st.session_state[_CASE_TO_DELETE] = case_id


def deletion_dialog(shared: Services) -> None:
    """Show the dialog if it was requested."""
    case_id = st.session_state.get(_CASE_TO_DELETE)
    if case_id is not None:
        st.dialog("Delete this case?", on_dismiss=_forget)(_dialog)(shared, case_id)


def _dialog(shared: Services, case_id: str) -> None:
    st.text(case_id)
    st.markdown(
        "This deletes its report, frames and trace, and the video if it was uploaded for it. It cannot be undone."
    )
    others = _runs_of_its_upload(shared, case_id)
    if others:
        st.warning(
            f"{others} other case{'s' if others > 1 else ''} used the video that was uploaded for this case, and will lose it.",
            icon=":material/warning:",
        )
    with st.container(horizontal=True):
        confirmed = st.button("Delete", key="confirm_delete", type="primary", icon=":material/delete:")
        if st.button("Keep it", key="cancel_delete"):
            _forget()
            st.rerun()
    if confirmed:
        if any(state.case_id == case_id for state in shared.worker.queue()):
            st.error("The case is running or queued: stop it first.", icon=":material/error:")
            return
        try:
            shared.library.delete(case_id)
        except VideoPathError as error:
            st.error("The case was not deleted.", icon=":material/error:")
            st.text(str(error))
            return
        _forget()
        st.toast(f"Case {case_id} is deleted.", icon=":material/delete:")
        st.rerun()


def _forget() -> None:
    st.session_state.pop(_CASE_TO_DELETE, None)


def _runs_of_its_upload(shared: Services, case_id: str) -> int:
    """The number of other cases whose video is in this case's folder."""
    folder = screened_path(shared.library.folder(case_id))  # as the videos of the cases are stored
    return sum(
        entry.case_id != case_id and Path(entry.video).is_relative_to(folder)
        for entry in shared.library.list()
    )
