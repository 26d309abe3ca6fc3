"""What the page adds for the keyboard and for screen readers: one small component without a picture of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from videopath.app.web.components.shared.tables import table

_SCRIPT = Path(__file__).with_name("page_aid.js")
_HTML = '<div role="status" aria-live="polite"></div>'
_CSS = "div { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }"


def page_aid(announcement: str, opened: int = 0) -> None:
    """Announce a change to screen readers, and let the keys of the page press its buttons.

    Args:
        announcement: What is read aloud when it differs from the last one.
        opened: How often a button has opened the corrections; they unfold when it grows.
    """
    _component()(key="page_aid", data={"says": announcement, "opened": opened}, height=1)


_KEYS = (
    ("A", "accept"),
    ("E", "correct diagnosis, description or findings"),
    ("R", "revise; run again if the case is finished"),
    ("X", "reject"),
    ("U", "undo your signature or rejection, within a minute"),
    ("1 to 9", "show a finding"),
    ("Left, right", "one second back or on"),
    (", and .", "one frame back or on"),
    ("Space", "play or pause"),
    ("+, - and 0", "zoom in, out, whole frame"),
    ("B", "brightness and contrast of the viewer, while it has the focus"),
    ("?", "this list"),
)


def list_of_keys() -> None:
    """Draw the button with the list of keys."""
    with st.popover("Keys", key="keyboard", icon=":material/keyboard:", type="tertiary"):
        table(("key", "does"), _KEYS)
        st.caption("They do nothing while you type in a field.")


@cache
def _component() -> Any:
    return st.components.v2.component(
        "videopath_page_aid", html=_HTML, css=_CSS, js=_SCRIPT.read_text(encoding="utf-8")
    )
