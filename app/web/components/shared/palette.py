"""Colours for what is drawn and cannot take them from the page: graph and charts."""

from __future__ import annotations

import streamlit as st

from videopath.app.figures.palette import DARK, LIGHT, Palette


def palette() -> Palette:
    """That of the theme which this browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT
