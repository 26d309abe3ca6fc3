"""The component: HTML, style and script from the files beside it, mounted with typed data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from videopath.app.web.components.viewer.messages import ViewerData

_FOLDER = Path(__file__).parent
_SCRIPTS = (
    "basics.js",
    "frames.js",
    "painting.js",
    "lists.js",
    "viewer.js",
)  # each builds on those before it

EVENTS = ("selected", "wanted", "annotated", "used")
"""The names of the events that come back."""


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_viewer: ComponentRenderer = st.components.v2.component(
    "videopath_viewer",
    html=_read("viewer.html"),
    css=_read("viewer.css"),
    js="\n".join(map(_read, _SCRIPTS)),
    isolate_styles=False,
)


def mount(data: ViewerData, key: str, on_event: Callable[[str, object], None]) -> None:
    """Draw the viewer.

    Args:
        data: What it shows.
        key: The key of this viewer.
        on_event: Called with the name and the unchecked value of each event.
    """

    def told(name: str) -> Callable[[], None]:
        return lambda: on_event(name, (st.session_state.get(key) or {}).get(name))

    callbacks: dict[str, Any] = {f"on_{name}_change": told(name) for name in EVENTS}
    _viewer(key=key, data=data.model_dump(mode="json"), **callbacks)
