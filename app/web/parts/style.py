"""How the pages look: one accent colour, light and dark, and what narrow screens need."""

from __future__ import annotations

import streamlit as st

THEME = {
    "theme.light.primaryColor": "#0B6E74",
    "theme.light.linkColor": "#0B6E74",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F1F5F5",
    "theme.light.textColor": "#17202A",
    "theme.dark.primaryColor": "#0B7F86",
    "theme.dark.linkColor": "#5CC8CE",
    "theme.dark.backgroundColor": "#0F1518",
    "theme.dark.secondaryBackgroundColor": "#1A2327",
    "theme.dark.textColor": "#E6EDEE",
}
"""Streamlit's options; each colour has at least 4.5:1 on what it stands on (WCAG AA)."""

_CSS = """
<style>
.st-key-banner [data-testid="stAlertContainer"] { padding: 0.4rem 0.9rem; }
[data-testid="stMainBlockContainer"] { padding-top: 4.4rem; max-width: 75rem; }
[data-testid="stCaptionContainer"], [data-testid="stImageCaption"] { color: inherit; opacity: 0.8; }
.st-key-preview [data-testid="stImage"] { gap: 0.4rem; }
[data-testid="stText"], [data-testid="stText"] * { white-space: pre-wrap; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 4.4rem 0.9rem 2rem; }
  h1 { font-size: 1.6rem !important; }
  [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
</style>
"""


def style() -> None:
    """Apply what the theme's options cannot say."""
    st.html(_CSS)
