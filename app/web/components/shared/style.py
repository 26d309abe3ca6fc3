"""The style of all pages: themes with one accent colour, and rules for narrow screens."""

from __future__ import annotations

import streamlit as st

THEME = {
    "theme.light.primaryColor": "#0B6E74",
    "theme.light.linkColor": "#0B6E74",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F1F5F5",
    "theme.light.textColor": "#17202A",
    "theme.dark.primaryColor": "#28A0A8",
    "theme.dark.linkColor": "#5CC8CE",
    "theme.dark.backgroundColor": "#0F1518",
    "theme.dark.secondaryBackgroundColor": "#1A2327",
    "theme.dark.textColor": "#E6EDEE",
}
"""Streamlit's options; each colour has a contrast of at least 4.5:1 with its background (WCAG AA)."""

BUTTON_TEXT = {"light": "#FFFFFF", "dark": "#0F1518"}
"""Text colour of primary buttons; Streamlit itself always writes white."""

_SOFT = {"soft_light": "#4A545C", "soft_dark": "#B9C4C6"}  # what Streamlit itself writes too faintly

_CSS = """
<style>
[data-testid^="stBaseButton-primary"]:not(:disabled) { color: light-dark(%(light)s, %(dark)s); }
.st-key-banner [data-testid="stAlertContainer"] { padding: 0.1rem 0.7rem; }
.st-key-banner p { font-size: 0.8rem; line-height: 1.35; }
[data-testid="stSidebarNavLink"] [data-testid="stIconMaterial"] { color: light-dark(%(soft_light)s, %(soft_dark)s) !important; }
[data-testid="stTextInputIcon"] [data-testid="stIconMaterial"] { color: light-dark(%(soft_light)s, %(soft_dark)s) !important; }
[data-testid="stCode"] .token { color: inherit !important; }
[data-testid="stExpander"] summary { opacity: 0.95; }
[data-testid="stMarkdownContainer"] h2 { font-size: 1.3rem; padding: 0.3rem 0; }
[data-testid="stMarkdownContainer"] h3 { font-size: 1.12rem; padding: 0.25rem 0; }
[data-testid="stMarkdownContainer"] :is(h4, h5, h6) { font-size: 1rem; padding: 0.2rem 0; }
[data-testid="stMainBlockContainer"] { padding-top: 4.4rem; max-width: 75rem; }
[data-testid="stCaptionContainer"], [data-testid="stImageCaption"] { color: inherit; opacity: 0.8; }
.st-key-preview [data-testid="stImage"] { gap: 0.4rem; }
[data-testid="stText"], [data-testid="stText"] * { white-space: pre-wrap; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
:is(input:not([type="checkbox"], [type="radio"]), textarea):focus-visible { outline: none; }  /* their border shows the focus */
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 4.4rem 0.9rem 2rem; }
  h1 { font-size: 1.6rem !important; }
  [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
</style>
"""

MARK = """
<svg xmlns="http://www.w3.org/2000/svg" width="36" height="36" viewBox="0 0 36 36">
  <circle cx="18" cy="18" r="14" fill="none" stroke="#1F939B" stroke-width="3"/>
  <path d="M14 11.5v13l11-6.5z" fill="#1F939B" stroke="#1F939B" stroke-width="1.6" stroke-linejoin="round"/>
</svg>
""".strip()
"""The icon of the browser's tab; a named icon would be fetched from the internet."""

_LOGO = """
<svg xmlns="http://www.w3.org/2000/svg" width="176" height="36" viewBox="0 0 176 36" role="img">
  <title>VideoPath</title>
  <circle cx="18" cy="18" r="14" fill="none" stroke="#1F939B" stroke-width="3"/>
  <path d="M14 11.5v13l11-6.5z" fill="#1F939B" stroke="#1F939B" stroke-width="1.6" stroke-linejoin="round"/>
  <text x="42" y="26" font-family="Source Sans, Source Sans Pro, Segoe UI, Helvetica, sans-serif" font-size="25"
    font-weight="600" fill="#1F939B" textLength="120" lengthAdjust="spacingAndGlyphs">VideoPath</text>
</svg>
"""


def style() -> None:
    """Show the logo, and apply the rules that the theme's options cannot express."""
    st.logo(_LOGO.strip(), size="large")
    st.html(_CSS % (BUTTON_TEXT | _SOFT))
