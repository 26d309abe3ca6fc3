"""All cases and how far they are."""

from __future__ import annotations

import streamlit as st

from videopath.app.web.services import services


def show() -> None:
    """The library as a table."""
    st.title("Worklist")
    entries = services().library.list()
    if not entries:
        st.info("There is no case yet: begin one on the page New case.")
        return
    st.dataframe([entry.model_dump() for entry in entries], key="worklist")
