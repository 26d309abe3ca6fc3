"""Colours of graph and charts, which do not take them from the page."""

from __future__ import annotations

import streamlit as st

from videopath.app.figures.palette import DARK, LIGHT, Palette


def palette() -> Palette:
    """Return the palette of the theme that this browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT
