"""Who uses the pages: the login if the server has one, else a name that is typed.

With a login, nobody signs under another name: :func:`signer` checks it where a decision is taken.
"""

from __future__ import annotations

import streamlit as st

from videopath.core.errors import CaseError

NAME = "reviewer_name"
"""In the session: the name that was typed last."""


def needs_login() -> bool:
    """Return whether the server asks for a login, and this person has not logged in."""
    return st.user.to_dict().get("is_logged_in") is False


def login() -> str:
    """Return the name that a logged-in person signs with; empty without a login.

    Name and e-mail address together, since two people may have one name.
    """
    user = st.user.to_dict()
    if user.get("is_logged_in") is not True:
        return ""
    name, address = (" ".join(str(user.get(field) or "").split()) for field in ("name", "email"))
    if name and address:
        return f"{name} ({address})"
    return name or address or str(user.get("preferred_username") or user.get("sub") or "unnamed login")


def person() -> str:
    """Return the name of the person at this browser; empty if it is not known."""
    return login() or str(st.session_state.get(NAME, ""))


def signer(typed: str) -> str:
    """Return the name for a signature or another act.

    Args:
        typed: The name in the form.

    Raises:
        CaseError: The server asks for a login and nobody is logged in, or the name is not that of the login.
    """
    if needs_login():
        raise CaseError("You are not logged in: log in, then decide again.")
    name, typed = login(), " ".join(typed.split())
    if name and typed not in ("", name):
        raise CaseError(f"You are logged in as {name}, so you cannot sign as {typed[:120]}.")
    return name or typed
