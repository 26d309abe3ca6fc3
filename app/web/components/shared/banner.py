"""The notice at the top of every page."""

from __future__ import annotations

import streamlit as st

from videopath.core.notice import RESEARCH_USE


def banner() -> None:
    """Show in one slim line that VideoPath is for research only."""
    with st.container(key="banner"):
        st.warning(RESEARCH_USE)
