"""Colours for what is drawn and cannot take them from the page: graph and charts."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st


@dataclass(frozen=True)
class Palette:
    """Colours that can be read on the theme's ground."""

    text: str
    soft: str
    accent: str


_LIGHT = Palette(text="#17202A", soft="#5B6B73", accent="#0B6E74")
_DARK = Palette(text="#E6EDEE", soft="#9FB0B5", accent="#5CC8CE")


def palette() -> Palette:
    """That of the theme which this browser shows."""
    return _DARK if st.context.theme.type == "dark" else _LIGHT
