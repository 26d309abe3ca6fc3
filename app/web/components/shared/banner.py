"""The line that stands on every page."""

from __future__ import annotations

import streamlit as st

from videopath.core.notice import RESEARCH_USE


def banner() -> None:
    """Say that this is for research only."""
    with st.container(key="banner"):
        st.warning(RESEARCH_USE, icon=":material/science:")
