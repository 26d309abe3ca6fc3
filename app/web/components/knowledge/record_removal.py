"""Removing a record from a knowledge base, once the person has said so twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.core.errors import VideoPathError

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase

_ASKED = "record_to_remove"


def ask_to_remove(record_id: str) -> None:
    """Open the dialog at the next drawing of the page (a button's ``on_click``)."""
    st.session_state[_ASKED] = record_id


def removal_dialog(base: KnowledgeBase) -> None:
    """The dialog, where it was asked for."""
    record_id = st.session_state.get(_ASKED)
    if record_id is not None:
        st.dialog("Remove this record?", on_dismiss=_forget)(_dialog)(base, record_id)


def _dialog(base: KnowledgeBase, record_id: str) -> None:
    st.text(record_id)
    st.markdown("Later cases will not find it. Reports that rest on it stay as they are.")
    with st.container(horizontal=True):
        agreed = st.button("Remove", key="confirm_remove", type="primary", icon=":material/delete:")
        if st.button("Keep it", key="cancel_remove"):
            _forget()
            st.rerun()
    if agreed:
        try:
            with st.spinner("Removing"):
                base.remove([record_id])
        except VideoPathError as error:
            st.error("It was not removed.", icon=":material/error:")
            st.text(str(error))
            return
        _forget()
        st.toast("The record is removed.", icon=":material/delete:")
        st.rerun()


def _forget() -> None:
    st.session_state.pop(_ASKED, None)
