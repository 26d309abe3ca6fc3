"""Ask a colleague: put a named person in charge of the case, with a note; it then stands in their part of the worklist."""

from __future__ import annotations

import streamlit as st

from videopath.agent.cases.team.people import LONGEST_NAME, LONGEST_NOTE, assign
from videopath.agent.cases.team.worklist import Worklist
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.people import person, signer
from videopath.app.web.runtime.services import Services
from videopath.core.errors import VideoPathError

_PROBLEM = "colleague_problem"  # in the session: why the case was not assigned
_DONE = "colleague_done"  # in the session: whom the case was assigned to


def ask_colleague(view: CaseView, shared: Services) -> None:
    """Draw the button, and behind it the form: whom to ask, a note, and the address of the case."""
    problem, done = st.session_state.pop(_PROBLEM, ""), st.session_state.pop(_DONE, "")
    if done:
        st.toast(inert(done), icon=":material/group_add:")
    with st.popover("Ask a colleague", icon=":material/group_add:", key="ask_colleague"):
        me = person()
        names = [name for name in Worklist(shared.library).people() if name != me]
        st.selectbox(
            "Whom do you ask?",
            names,
            index=None,
            key="colleague",
            accept_new_options=True,
            placeholder="choose a name, or type one",
            help="The case stands under “Mine” in the worklist of this person.",
        )
        st.text_area("Note", key="colleague_note", height=80, max_chars=LONGEST_NOTE)
        if not me:
            st.text_input("Your name", key="colleague_by", max_chars=LONGEST_NAME)
        st.button(
            "Ask",
            key="assign_colleague",
            type="primary",
            icon=":material/send:",
            on_click=_assign,
            args=(shared, view.case_id),
        )
        if problem:
            st.error(inert(problem), icon=":material/error:")
        st.caption("Nobody is notified: send this address, too.")
        st.code(f"{_address()}/case?id={view.case_id}", language=None, wrap_lines=True)


def _assign(shared: Services, case_id: str) -> None:
    """Assign the case as the form stands now."""
    state = st.session_state
    to, note = (state.get("colleague") or "").strip(), state.get("colleague_note", "")
    typed = person() or state.get("colleague_by", "")
    if not to:
        st.session_state[_PROBLEM] = "Nobody was asked: choose a name, or type one."
        return
    try:
        assign(shared.library, [case_id], to, signer(typed), note)
    except VideoPathError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    st.session_state[_DONE] = f"{to} is in charge of this case now."


def _address() -> str:
    """The address of this server as the browser knows it."""
    return (st.context.url or "").partition("?")[0].removesuffix("/").removesuffix("/case")
