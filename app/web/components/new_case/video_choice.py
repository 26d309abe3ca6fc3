"""Where a new case's video comes from: an upload, kept in the case's folder, or a path on the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.cli.errors import os_sentence
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.services import Services
from videopath.app.web.runtime.uploads import discard_upload, save_upload
from videopath.core.errors import InputError
from videopath.core.folders import named_by_visitor

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_ENDINGS = ["mp4", "m4v", "mov", "mkv", "avi", "webm", "wmv", "mpg", "mpeg", "gif"]
IMAGE_ENDINGS = ["jpg", "jpeg", "png", "tif", "tiff", "bmp", "webp", "heic", "heif", "avif"]
_DRAFT = "draft"  # the case id of the case that is being put together
_SAVED = "draft_upload"  # the upload that was written last: its id, and where it is


def draft_id() -> str:
    """The id that the case will have: its upload is in its folder before it is begun."""
    from videopath.agent import new_case_id

    if _DRAFT not in st.session_state:
        st.session_state[_DRAFT] = new_case_id()
    return st.session_state[_DRAFT]


def forget_draft() -> None:
    """The case was begun: the next one gets an id of its own."""
    for name in (_DRAFT, _SAVED):
        st.session_state.pop(name, None)


def choose_video(shared: Services) -> Path | None:
    """Ask for the video; none while there is none."""
    left, right = st.columns(2)
    with left:
        uploaded = st.file_uploader(
            "Upload a video or an image", type=[*_ENDINGS, *IMAGE_ENDINGS], key="upload"
        )
    with right:
        path = st.text_input(
            "Or a path on the server",
            key="video_path",
            placeholder="/data/slides/case.mp4",
            help="A video, an image or a folder of frames. A large file need not pass through the browser.",
        )
    if uploaded is not None:
        return _kept(shared, uploaded)
    _discard(shared)
    return _named(shared, path.strip().strip("\"'")) if path.strip() else None


def _named(shared: Services, path: str) -> Path | None:
    try:
        return named_by_visitor(path, shared.settings)
    except InputError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return None


def _kept(shared: Services, uploaded: UploadedFile) -> Path | None:
    """Where the upload is on disk; written once, its forerunner removed."""
    saved = st.session_state.get(_SAVED)
    if saved and saved[0] == uploaded.file_id:
        return saved[1]
    _discard(shared)
    folder = shared.library.folder(draft_id()) / "upload"
    try:
        with st.spinner("Saving the upload…"):
            path = save_upload(uploaded.name, uploaded, folder)
    except (InputError, OSError) as error:  # a full disk is told like a wrong name
        told = os_sentence(error) if isinstance(error, OSError) else str(error)
        st.error(inert(told), icon=":material/error:")
        return None
    st.session_state[_SAVED] = (uploaded.file_id, path)
    return path


def _discard(shared: Services) -> None:
    saved = st.session_state.pop(_SAVED, None)
    if saved:
        discard_upload(saved[1])
