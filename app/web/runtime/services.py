"""What all pages share: the case library, the settings, the worker; and who this browser session is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.runtime.uploads import discard_forgotten
from videopath.app.web.runtime.worker import Worker
from videopath.core.settings import Settings, load_settings

if TYPE_CHECKING:
    from videopath.agent import CaseLibrary


@dataclass(frozen=True)
class Services:
    """One per server and home folder."""

    home: Path
    settings: Settings
    library: CaseLibrary
    worker: Worker


def services() -> Services:
    """The services of this server; made by the first page that asks. Raises ``InputError`` for unusable settings."""
    return _services(str(load_settings().home.expanduser()))


def owner() -> str:
    """Who asks: a random name of this browser session, so that the queue can be fair."""
    if "owner" not in st.session_state:
        st.session_state["owner"] = secrets.token_hex(8)
    return st.session_state["owner"]


def close_services() -> bool:
    """Stop the workers; what they were at stays resumable. Says whether all ended within some seconds."""
    _services.clear()
    ended, _ended[:] = all(_ended), []
    return ended


_PATIENCE = 8.0  # seconds for a worker to leave what it is at
_ended: list[bool] = []


def _close(made: Services) -> None:
    _ended.append(made.worker.close(_PATIENCE))


@st.cache_resource(show_spinner=False, on_release=_close)
def _services(home: str) -> Services:
    from videopath.agent.cases.library import load_case_library

    settings = load_settings()
    folder = Path(home)
    library = load_case_library(folder)
    discard_forgotten(folder / "cases", {entry.case_id for entry in library.list()})
    return Services(folder, settings, library, Worker(folder, settings))
