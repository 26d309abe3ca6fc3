"""The style of the case page, in addition to the common style."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
/* The page is drawn again while a case runs; old parts do not fade before they are replaced. */
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
[data-testid="stMainBlockContainer"] { max-width: 100rem; padding: 3.6rem 1.6rem 1rem; gap: 0.6rem; }
.st-key-outcome h1 { font-size: 1.75rem; padding: 0.1rem 0; }
.st-key-outcome [data-testid="stCaptionContainer"] p { margin: 0; }
[data-testid="stColumn"]:has(.st-key-viewer_column) { align-self: flex-start; position: sticky; top: 3.9rem; }
.st-key-viewer_column { max-height: calc(100vh - 13rem); overflow-y: auto; padding: 2px; }
[data-testid="stBottomBlockContainer"] { max-width: 100rem; padding: 0.4rem 1.6rem 0.7rem; }
.st-key-decision_bar [data-testid="stAlertContainer"] { padding: 0.35rem 0.8rem; }
.st-key-corrections [data-testid="stExpanderDetails"] { max-height: 46vh; overflow-y: auto; }
.st-key-running > :first-child { flex: 1 1 12rem; min-width: 0; }
.st-key-outcome h1 { line-height: 1.25; }
.st-key-title_row { flex-wrap: nowrap; }
.st-key-title_row > :first-child { flex: 1 1 auto; min-width: 0; }
.st-key-abstention [data-testid="stText"] { font-size: 0.94rem; line-height: 1.4; }
.st-key-abstention [data-testid="stVerticalBlock"] [data-testid="stVerticalBlock"] { padding: 0.5rem 0.7rem; }
.st-key-abstention { border-left: 4px solid light-dark(#B45309, #F0A94A); padding-left: 0.9rem; }
[class*="st-key-neighbour_"] summary { padding: 0.35rem 0.7rem; min-height: 0; }
[class*="st-key-similar_cell_"] { padding: 0.4rem; }
[class*="st-key-similar_cell_"] p { font-size: 0.86rem; }
.st-key-decided > :first-child { flex: 1 1 14rem; }
.st-key-page_aid { height: 0; overflow: hidden; }
.st-key-graph svg { max-height: 40rem; }
.st-key-timeline code { font-size: 0.8rem; padding: 0; }
.st-key-timeline pre { padding: 0.6rem; }
.st-key-timeline table { font-size: 0.8rem; }
.st-key-timeline td, .st-key-timeline td * { overflow-wrap: anywhere; white-space: normal; }
.st-key-timeline [data-testid="stImage"] { gap: 0.4rem; }
.st-key-timeline summary p { overflow-wrap: anywhere; }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 3.6rem 0.9rem 1rem; }
  .st-key-title_row { flex-wrap: wrap; }
  [data-testid="stBottomBlockContainer"] { padding: 0.3rem 0.9rem 0.5rem; }
  [data-testid="stColumn"]:has(.st-key-viewer_column) { position: static; }
  .st-key-viewer_column { max-height: none; overflow-y: visible; }
  .st-key-decision_bar { gap: 0.2rem; }
  .st-key-corrections summary { min-height: 44px; padding: 0; }
  .st-key-corrections summary p { font-size: 0.85rem; line-height: 1.2; }
  .st-key-decide { flex-wrap: nowrap; gap: 0.25rem; align-items: stretch; }
  .st-key-decide > * { flex: 1 1 auto; width: auto !important; min-width: min-content; }
  .st-key-decide > :first-child { flex: 1 3 5rem; min-width: 4rem; }
  .st-key-decide [data-testid="stTextInput"] * { min-width: 0; }
  .st-key-decide [data-testid="stTextInput"] input { padding: 0 0.4rem; min-height: 44px; font-size: 0.8rem; }
  .st-key-decide button { width: 100%; min-width: 44px; height: 48px; min-height: 44px; padding: 0.1rem 0.3rem; }
  .st-key-decide button span:has(> [data-testid="stIconMaterial"]) { display: none; }
  .st-key-decide button * { overflow-wrap: normal; word-break: normal; text-align: center; min-width: min-content; }
  .st-key-decide button p { font-size: 0.75rem; line-height: 1.15; white-space: normal; }
}
</style>
"""


def case_style() -> None:
    """Apply the style of the case page."""
    st.html(_CSS)
