"""The video of a new case: an upload, which is kept in the case's folder, or a path on the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.cli.errors import os_sentence
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.services import Services
from videopath.app.web.runtime.uploads import discard_upload, save_upload
from videopath.core.errors import InputError
from videopath.core.folders import visitor_path

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

VIDEO_SUFFIXES = ["mp4", "m4v", "mov", "mkv", "avi", "webm", "wmv", "mpg", "mpeg", "gif"]
IMAGE_SUFFIXES = ["jpg", "jpeg", "png", "tif", "tiff", "bmp", "webp", "heic", "heif", "avif"]
_DRAFT = "draft"  # in the session: the id of the next case
_SAVED = "draft_upload"  # in the session: id and path of the upload that was saved last


def draft_id() -> str:
    """Return the id of the next case; its upload is in its folder before the case starts."""
    from videopath.agent import new_case_id

    if _DRAFT not in st.session_state:
        st.session_state[_DRAFT] = new_case_id()
    return st.session_state[_DRAFT]


def forget_draft() -> None:
    """Forget the draft after its case has started; the next case gets a new id."""
    for name in (_DRAFT, _SAVED):
        st.session_state.pop(name, None)


def choose_video(shared: Services) -> Path | None:
    """Ask for the video; return None as long as there is none."""
    left, right = st.columns(2)
    with left:
        uploaded = st.file_uploader(
            "Upload a video or an image", type=[*VIDEO_SUFFIXES, *IMAGE_SUFFIXES], key="upload"
        )
    with right:
        path = st.text_input(
            "Or a path on the server",
            key="video_path",
            placeholder="/data/slides/case.mp4",
            help="A video, an image or a folder of frames. Use it for files that are too large for an upload.",
        )
    if uploaded is not None:
        return _save(shared, uploaded)
    _discard(shared)
    return _path_of(shared, path.strip().strip("\"'")) if path.strip() else None


def _path_of(shared: Services, path: str) -> Path | None:
    try:
        return visitor_path(path, shared.settings)
    except InputError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return None


def _save(shared: Services, uploaded: UploadedFile) -> Path | None:
    """Save the upload once, in place of an earlier one; return its path."""
    saved = st.session_state.get(_SAVED)
    if saved and saved[0] == uploaded.file_id:
        return saved[1]
    _discard(shared)
    folder = shared.library.folder(draft_id()) / "upload"
    try:
        with st.spinner("Saving the upload…"):
            path = save_upload(uploaded.name, uploaded, folder)
    except (InputError, OSError) as error:  # a wrong name, or a full disk
        message = os_sentence(error) if isinstance(error, OSError) else str(error)
        st.error(inert(message), icon=":material/error:")
        return None
    st.session_state[_SAVED] = (uploaded.file_id, path)
    return path


def _discard(shared: Services) -> None:
    saved = st.session_state.pop(_SAVED, None)
    if saved:
        discard_upload(saved[1])
