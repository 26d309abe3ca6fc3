"""A new case: a video, what is known of it, and how it shall be worked on."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from videopath.app.web.parts.links import open_case
from videopath.app.web.services import owner, services
from videopath.app.web.worker import CaseRequest
from videopath.core.errors import VideoPathError
from videopath.core.sites import SITES

_NOT_GIVEN = "not given"


def show() -> None:
    """Ask for a video and begin."""
    from videopath.agent.library import new_case_id

    st.title("New case")
    path = st.text_input("Path on the server", key="video_path")
    site = st.selectbox("Site", [_NOT_GIVEN, *SITES], key="site")
    if st.button("Start", key="start_case", type="primary", disabled=not path):
        shared = services()
        request = CaseRequest(
            video=Path(path), site=None if site == _NOT_GIVEN else site, question=None, model=shared.settings.model,
            knowledge=shared.settings.knowledge, review=shared.settings.review, frames=shared.settings.frames,
            start=None, end=None, sampling="uniform", owner=owner(), case_id=new_case_id(),
        )  # fmt: skip
        try:
            shared.worker.submit(request)
        except VideoPathError as error:
            st.text(str(error))
            return
        open_case(request.case_id)
