"""The style of the case page, in addition to the common style."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
/* The page is drawn again while a case runs; old parts do not fade before they are replaced. */
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
.st-key-findings button { justify-content: flex-start; text-align: left; height: auto; }
.st-key-findings button > div { justify-content: flex-start; }
.st-key-findings button p { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.st-key-player video { max-height: 26rem; background: #000; border-radius: 0.5rem; }
.st-key-graph svg { max-height: 40rem; }
.st-key-timeline code { font-size: 0.8rem; padding: 0; }
.st-key-timeline pre { padding: 0.6rem; }
.st-key-timeline table { font-size: 0.8rem; }
.st-key-timeline td, .st-key-timeline td * { overflow-wrap: anywhere; white-space: normal; }
.st-key-timeline [data-testid="stImage"] { gap: 0.4rem; }
.st-key-timeline summary p { overflow-wrap: anywhere; }
</style>
"""


def case_style() -> None:
    """Apply the style of the case page."""
    st.html(_CSS)
