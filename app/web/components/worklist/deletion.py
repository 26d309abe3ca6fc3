"""Deleting cases, after a question that names them.

The session holds the ids of the cases, so that the dialog stays open while the page behind it is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

import streamlit as st

from videopath.agent.cases.library import CaseEntry
from videopath.agent.cases.team.audit import NAMELESS
from videopath.agent.cases.team.worklist import Worklist
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.people import person, signer
from videopath.app.web.runtime.services import Services
from videopath.core.errors import CaseError, VideoPathError
from videopath.core.privacy.paths import screened_path

_CASES_TO_DELETE = "cases_to_delete"  # in the session: the ids


def ask_to_delete(case_ids: Sequence[str]) -> None:
    """Open the dialog when the page is drawn next (a button's ``on_click``)."""
    st.session_state[_CASES_TO_DELETE] = list(case_ids)


def deletion_dialog(shared: Services) -> None:
    """Show the dialog if it was requested."""
    case_ids = st.session_state.get(_CASES_TO_DELETE)
    entries = Worklist(shared.library).entries(case_ids) if case_ids else ()
    if entries:
        title = "Delete this case?" if len(entries) == 1 else f"Delete these {len(entries)} cases?"
        st.dialog(title, on_dismiss=_forget)(_dialog)(shared, entries)


def _dialog(shared: Services, entries: Sequence[CaseEntry]) -> None:
    with st.container(key="names_to_delete", height=240 if len(entries) > 6 else "content", border=False):
        for entry in entries:
            name = f"{PurePath(entry.video).name}, {entry.diagnosis or 'no diagnosis'} ({entry.case_id})"
            st.markdown(f"- {inert(name)}" + (" **signed**" if entry.status == "signed" else ""))
    st.markdown(
        "This deletes report, frames and trace, and a video that was uploaded for the case. It cannot be undone. "
        "Who did what and when stays in the audit list (`videopath cases audit`), without any text."
    )
    others = _runs_of_their_uploads(shared, entries)
    if others:
        st.warning(
            f"{others} other case{'s' if others > 1 else ''} used a video that was uploaded for one of these, and will lose it.",
            icon=":material/warning:",
        )
    with st.container(horizontal=True):
        confirmed = st.button("Delete", key="confirm_delete", type="primary", icon=":material/delete:")
        if st.button("Keep" if len(entries) > 1 else "Keep it", key="cancel_delete"):
            _forget()
            st.rerun()
    if confirmed:
        with st.spinner("Deleting"):
            _delete(shared, entries)


def _delete(shared: Services, entries: Sequence[CaseEntry]) -> None:
    """Delete the cases one by one; those that cannot be deleted are named with the reason."""
    at_work = {state.case_id for state in shared.worker.queue()}
    problems = []
    for entry in entries:
        try:
            if entry.case_id in at_work:
                raise CaseError(f"Case {entry.case_id} is running or queued: stop it first.")
            shared.library.delete(entry.case_id, signer(person()) or NAMELESS)
        except VideoPathError as error:
            problems.append(str(error))
    if problems:
        st.error("Not deleted:", icon=":material/error:")
        st.text("\n".join(problems))
        return
    _forget()
    count = len(entries)
    st.toast(f"{count} case{'s are' if count > 1 else ' is'} deleted.", icon=":material/delete:")
    st.rerun()


def _forget() -> None:
    st.session_state.pop(_CASES_TO_DELETE, None)


def _runs_of_their_uploads(shared: Services, entries: Sequence[CaseEntry]) -> int:
    """The number of other cases whose video is in the folder of one of these cases."""
    own = {entry.case_id for entry in entries}
    folder = shared.library.folder(entries[0].case_id).parent
    return Worklist(shared.library).count_within(Path(screened_path(folder)), own)
