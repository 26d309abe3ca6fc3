"""Removing a record from a knowledge base, after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.core.errors import VideoPathError

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase

_RECORD_TO_REMOVE = "record_to_remove"  # in the session: the id


def ask_to_remove(record_id: str) -> None:
    """Open the dialog when the page is drawn next (a button's ``on_click``)."""
    st.session_state[_RECORD_TO_REMOVE] = record_id


def removal_dialog(base: KnowledgeBase) -> None:
    """Show the dialog if it was requested."""
    record_id = st.session_state.get(_RECORD_TO_REMOVE)
    if record_id is not None:
        st.dialog("Remove this record?", on_dismiss=_forget)(_dialog)(base, record_id)


def _dialog(base: KnowledgeBase, record_id: str) -> None:
    st.text(record_id)
    st.markdown("Later cases will not find this record. Reports that rest on it do not change.")
    with st.container(horizontal=True):
        confirmed = st.button("Remove", key="confirm_remove", type="primary", icon=":material/delete:")
        if st.button("Keep it", key="cancel_remove"):
            _forget()
            st.rerun()
    if confirmed:
        try:
            with st.spinner("Removing"):
                base.remove([record_id])
        except VideoPathError as error:
            st.error("The record was not removed.", icon=":material/error:")
            st.text(str(error))
            return
        _forget()
        st.toast("The record is removed.", icon=":material/delete:")
        st.rerun()


def _forget() -> None:
    st.session_state.pop(_RECORD_TO_REMOVE, None)
