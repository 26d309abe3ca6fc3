"""Search by a frame: by the picture if the knowledge base has pictures of the model's tower, and by a description.

The worker encodes and describes the frame when it is its turn; the page can be left meanwhile.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.new_case.video_choice import IMAGE_SUFFIXES
from videopath.app.web.runtime.services import Services, owner
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError, VideoPathError
from videopath.core.folders import visitor_path
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge.storage.manifest import FrameViews
    from videopath.model.inference.engine import Engine

_PENDING = "frame_that_is_looked_at"  # in the session: the frame of the search
_INTERVAL = 0.5  # seconds between two checks of the answer


@dataclass(frozen=True)
class _PendingFrame:
    """A frame that waits for the model, or was seen by it."""

    image: bytes
    name: str
    answer: Future[SeenFrame]
    started: float


@dataclass(frozen=True)
class SeenFrame:
    """The model's description and vectors of a frame."""

    description: str | None
    """None if no description was requested."""
    vectors: dict[FrameViews, np.ndarray]
    """Views of the frame → float32 [dimension], from the model's vision tower."""
    tower_sha256: str
    """Hash of the tower; vectors can only be compared with those of the same tower."""


def frame_search(shared: Services, pictures: bool) -> SeenFrame | None:
    """Ask for a frame, and return the model's result when it is ready.

    Args:
        shared: The services.
        pictures: Whether the knowledge base has pictures; without them only the description can be searched.
    """
    st.caption(
        "The model encodes the frame; the search finds the records with the most similar pictures."
        if pictures
        else "This knowledge base has no pictures: the model describes the frame, and the description is searched."
    )
    with st.form("frame_search", border=False):
        read = _source(shared)
        site = st.selectbox("Site", list(SITES), index=None, placeholder="not given", key="frame_site")
        words = st.checkbox(
            "Also describe the frame and search by the description",
            value=not pictures,
            disabled=not pictures,
            key="frame_words" if pictures else "frame_words_only",
        )
        if st.form_submit_button(
            "Search", key="search_frame", type="primary", icon=":material/image_search:"
        ):
            _ask(shared, read, partial(_look, site=site, words=words))
    pending: _PendingFrame | None = st.session_state.get(_PENDING)
    if pending is None:
        return None
    if not pending.answer.done():
        _wait(pending)
        return None
    return _show(pending)


def _source(shared: Services) -> Callable[[], tuple[bytes, str]]:
    """Draw the widgets of the form; return a function that reads the frame and its name."""
    upload = st.file_uploader("An image", type=IMAGE_SUFFIXES, key="frame_upload")
    left, right = st.columns([3, 1])
    path = left.text_input("Or a path of a video or an image on the server", key="frame_path")
    second = right.number_input("At second", 0.0, step=0.5, key="frame_second")

    def read() -> tuple[bytes, str]:
        if upload is not None:
            return _png_of(upload.getvalue(), upload.name, shared.settings.writing), upload.name
        if not path.strip():
            raise InputError("No frame was given: upload an image, or give the path of a video.")
        image = _frame_of(visitor_path(path.strip(), shared.settings), second, shared.settings.writing)
        return image, f"{Path(path).name}, {second:.1f} s"

    return read


def _png_of(image: bytes, name: str, writing: WritingRule) -> bytes:
    """An uploaded image of any format as PNG, as it is displayed, with its writing filled."""
    from videopath.app.web.runtime.playable import frame_at

    with tempfile.TemporaryDirectory(prefix="videopath-frame-") as folder:
        path = Path(folder) / f"upload{Path(name).suffix}"
        path.write_bytes(image)
        return _png(frame_at(path, 0.0, writing=writing))


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _frame_of(path: Path, second: float, writing: WritingRule) -> bytes:
    from videopath.app.web.runtime.playable import frame_at

    if not path.exists():
        raise InputError(
            f"There is no file or folder {path} on the server; give the path of a video or an image."
        )
    return _png(frame_at(path, second, writing=writing))


def _ask(
    shared: Services, read: Callable[[], tuple[bytes, str]], look: Callable[[bytes, Engine], SeenFrame]
) -> None:
    try:
        image, name = read()
    except (VideoPathError, OSError) as error:
        st.session_state.pop(_PENDING, None)
        st.error("The frame cannot be used.", icon=":material/error:")
        st.text(str(error))
        return
    answer = shared.worker.ask(owner(), partial(look, image))
    st.session_state[_PENDING] = _PendingFrame(image, name, answer, time.time())


def _look(image: bytes, engine: Engine, *, site: str | None, words: bool) -> SeenFrame:
    """Encode an image, and describe it if ``words``; runs in the worker's thread."""
    from videopath.knowledge.storage.manifest import FRAME_VIEWS
    from videopath.model.inference.frame_vectors import tower_sha256
    from videopath.tools import DescribeTool
    from videopath.tools.frame_encoders.loading import TOWER
    from videopath.tools.schemas import ClipInput
    from videopath.tools.session_pool import SessionPool

    with tempfile.TemporaryDirectory(prefix="videopath-frame-") as folder:
        path = Path(folder) / "frame.png"
        path.write_bytes(image)
        sessions = SessionPool(engine)
        description = None
        if words:
            description = (
                DescribeTool(sessions=sessions)
                .invoke({"video": str(path), "writing": "keep", "site": site})
                .description
            )
        clip = ClipInput(video=str(path), writing="keep")  # it was filled when it was read
        session, tower = sessions.open(clip), sessions.encoder(TOWER)
        vectors = {views: session.picture_vector(tower, views) for views in FRAME_VIEWS}
    return SeenFrame(description, vectors, tower_sha256(engine.info))


@st.fragment(run_every=_INTERVAL)
def _wait(pending: _PendingFrame) -> None:
    if pending.answer.done():
        st.rerun()
    activity = "The model sees the frame" if pending.answer.running() else "In the queue"
    st.status(f"{activity}: {time.time() - pending.started:.0f} s", state="running")


def _show(pending: _PendingFrame) -> SeenFrame | None:
    error = pending.answer.exception()
    if error is not None:
        st.error("The model could not see the frame.", icon=":material/error:")
        st.text(str(error))
        return None
    frame = pending.answer.result()
    picture, words = st.columns([1, 2])
    picture.image(pending.image, width="stretch", alt="The frame of the search")
    picture.text(pending.name)
    if frame.description is not None:
        words.caption("The model's description")
        words.text(frame.description or "The model wrote nothing.")
    return frame
