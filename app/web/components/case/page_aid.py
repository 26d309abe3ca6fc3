"""What the page adds for the keyboard and for screen readers: one small component without a picture of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_SCRIPT = Path(__file__).with_name("page_aid.js")
_HTML = '<div role="status" aria-live="polite"></div>'
_CSS = "div { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }"


def page_aid(announcement: str) -> None:
    """Announce a change to screen readers, and let the keys of the page press its buttons.

    Args:
        announcement: What is read aloud when it differs from the last one.
    """
    _component()(key="page_aid", data={"says": announcement}, height=1)


@cache
def _component() -> Any:
    return st.components.v2.component(
        "videopath_page_aid", html=_HTML, css=_CSS, js=_SCRIPT.read_text(encoding="utf-8")
    )
