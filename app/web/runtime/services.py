"""The services of all pages: case library, settings and worker; and the name of this browser session."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.metrics import watch_queue
from videopath.app.web.runtime.shared_queue import worker_of
from videopath.app.web.runtime.uploads import discard_forgotten
from videopath.app.web.runtime.worker import Worker
from videopath.core.settings import Settings, load_settings

if TYPE_CHECKING:
    from videopath.agent import CaseLibrary


@dataclass(frozen=True)
class Services:
    """The services of one server and home folder."""

    home: Path
    settings: Settings
    library: CaseLibrary
    worker: Worker


def services() -> Services:
    """Return the services of this server; the first call creates them. Raises ``InputError`` for unusable settings."""
    return _services(str(load_settings().home.expanduser()))


def owner() -> str:
    """Return the random name of this browser session; the queue serves the sessions in turn."""
    if "owner" not in st.session_state:
        st.session_state["owner"] = secrets.token_hex(8)
    return st.session_state["owner"]


def close_services() -> bool:
    """Stop the workers; their cases can be resumed. Return whether all ended within a few seconds."""
    _services.clear()
    ended, _ended[:] = all(_ended), []
    return ended


_TIMEOUT = 8.0  # seconds for a worker to stop its case
_ended: list[bool] = []


def _close(released: Services) -> None:
    _ended.append(released.worker.close(_TIMEOUT))


@st.cache_resource(show_spinner=False, on_release=_close)
def _services(home: str) -> Services:
    from videopath.agent.cases.library import load_case_library

    settings = load_settings()
    folder = Path(home)
    library = load_case_library(folder)
    discard_forgotten(folder / "cases", set(library.case_ids()))
    worker = worker_of(folder, settings)
    watch_queue(worker.lengths)
    return Services(folder, settings, library, worker)
