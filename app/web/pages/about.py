"""What this is and what it may be used for."""

from __future__ import annotations

import streamlit as st

from videopath.core.notice import RESEARCH_USE


def show() -> None:
    """The notice."""
    st.title("About")
    st.text(RESEARCH_USE)
