"""The person at this browser, in the sidebar: the login with its way out, or a name that the browser keeps."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.people import NAME, login
from videopath.core.installing import require

_SCRIPT = Path(__file__).with_name("kept_name.js")
_LONGEST = 120
_FIELD, _KEPT = "my_name", "kept_name"
_FORMS = ("reviewer", "addendum_name", "record_name", "reading_name")
"""Fields for a name in forms; an empty one is filled when the browser's name arrives."""


def person_bar() -> None:
    """Draw who is logged in; without a login, the field for the name."""
    with st.sidebar, st.container(key="person"):
        name = login()
        if name:
            st.caption(inert(f"Logged in as {name}"))
            st.button("Log out", key="log_out", icon=":material/logout:", on_click=st.logout)
            return
        st.session_state[_FIELD] = st.session_state.get(NAME, "")
        st.text_input(
            "Your name",
            key=_FIELD,
            max_chars=_LONGEST,
            help="It fills the forms that you sign, and shows which cases are yours. This browser keeps it.",
            on_change=_take_typed,
        )
        _component()(
            key=_KEPT,
            data={"name": st.session_state.get(NAME, ""), "restore": NAME not in st.session_state},
            on_name_change=_take_kept,
            height=1,
        )


def login_page() -> None:
    """Draw the page that is shown until a person has logged in: a button for each provider."""
    st.title("Log in")
    st.text("This server asks for a login before it shows a case.")
    require("authlib", "Authlib", "login", "A login")
    for provider in _providers():
        label = "Log in" if provider is None else f"Log in with {inert(provider)}"
        st.button(
            label,
            key=f"log_in_{provider or 'default'}",
            type="primary",
            icon=":material/login:",
            on_click=st.login,
            args=(provider,),
        )


def _providers() -> list[str | None]:
    """Return the named providers of the secrets' section ``auth``; None: the only one, which has no name."""
    section = st.secrets.get("auth", {})
    named: list[str | None] = [name for name, value in section.items() if hasattr(value, "items")]
    return named or [None]


def _take_typed() -> None:
    _take(str(st.session_state[_FIELD]))


def _take_kept() -> None:
    """Take the name that the browser kept, unless one was typed meanwhile."""
    kept = (st.session_state.get(_KEPT) or {}).get("name")
    if isinstance(kept, str) and NAME not in st.session_state:
        _take(kept)


def _take(name: str) -> None:
    state = st.session_state
    state[NAME] = " ".join(name.split())[:_LONGEST]
    for field in _FORMS:
        if field in state and not state[field]:
            state[field] = state[NAME]


@cache
def _component() -> Any:
    return st.components.v2.component(
        "videopath_kept_name", html="<span></span>", js=_SCRIPT.read_text(encoding="utf-8")
    )
