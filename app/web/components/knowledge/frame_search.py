"""Search by a frame: by the picture itself where the knowledge base has pictures of the model's tower, and by words.

The description is made by the worker, in its turn; the page looks on and can be left meanwhile.
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
from videopath.core.errors import InputError, VideoPathError
from videopath.core.folders import visitor_path
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge.storage.manifest import FrameViews
    from videopath.model.inference.engine import Engine

_ASKED = "frame_that_is_looked_at"
_LOOK_AGAIN = 0.5  # seconds


@dataclass(frozen=True)
class _Asked:
    """A frame that the model was asked to look at."""

    image: bytes
    name: str
    answer: Future[SeenFrame]
    begun: float


@dataclass(frozen=True)
class SeenFrame:
    """A frame as the model sees it."""

    description: str | None
    """None where it was not asked for."""
    vectors: dict[FrameViews, np.ndarray]
    """How the frame was shown → float32 [dimension], of the model's vision tower."""
    tower_sha256: str
    """Pictures compare only with those of the same tower."""


def frame_search(shared: Services, pictures: bool) -> SeenFrame | None:
    """Ask for a frame; what the model sees in it, once it has looked.

    ``pictures``: whether the knowledge base has any; without them the frame's words are all that can be searched.
    """
    st.caption(
        "The model looks at the frame: found are the cases whose pictures are most like it."
        if pictures
        else "This knowledge base has no pictures: the model describes the frame, and its words are searched."
    )
    with st.form("frame_search", border=False):
        read = _source(shared)
        site = st.selectbox("Site", list(SITES), index=None, placeholder="not given", key="frame_site")
        words = st.checkbox(
            "Describe it and search by the words as well",
            value=not pictures,
            disabled=not pictures,
            key="frame_words" if pictures else "frame_words_only",
        )
        if st.form_submit_button(
            "Search", key="search_frame", type="primary", icon=":material/image_search:"
        ):
            _ask(shared, read, partial(_look, site=site, words=words))
    asked: _Asked | None = st.session_state.get(_ASKED)
    if asked is None:
        return None
    if not asked.answer.done():
        _look_on(asked)
        return None
    return _described(asked)


def _source(shared: Services) -> Callable[[], tuple[bytes, str]]:
    """The widgets of the form, and what reads the frame that was given in them."""
    upload = st.file_uploader("An image", type=IMAGE_SUFFIXES, key="frame_upload")
    left, right = st.columns([3, 1])
    path = left.text_input("or the path of a video or an image on the server", key="frame_path")
    second = right.number_input("at second", 0.0, step=0.5, key="frame_second")

    def read() -> tuple[bytes, str]:
        if upload is not None:
            return _png_of(upload.getvalue(), upload.name), upload.name
        if not path.strip():
            raise InputError("There is no frame: upload an image, or give the path of a video.")
        return _frame_of(
            visitor_path(path.strip(), shared.settings), second
        ), f"{Path(path).name}, {second:.1f} s"

    return read


def _png_of(image: bytes, name: str) -> bytes:
    """An uploaded image of any kind as it is shown, in a kind that browsers show."""
    from videopath.media.image.files import read_picture

    with tempfile.TemporaryDirectory(prefix="videopath-frame-") as folder:
        path = Path(folder) / f"upload{Path(name).suffix}"
        path.write_bytes(image)
        return _png(read_picture(path))


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _frame_of(path: Path, second: float) -> bytes:
    from videopath.app.web.runtime.playable import frame_at

    if not path.exists():
        raise InputError(
            f"There is no file or folder {path} on the server: give the path of a video or an image."
        )
    return _png(frame_at(path, second))


def _ask(
    shared: Services, read: Callable[[], tuple[bytes, str]], look: Callable[[bytes, Engine], SeenFrame]
) -> None:
    try:
        image, name = read()
    except (VideoPathError, OSError) as error:
        st.session_state.pop(_ASKED, None)
        st.error("The frame cannot be used.", icon=":material/error:")
        st.text(str(error))
        return
    answer = shared.worker.ask(owner(), partial(look, image))
    st.session_state[_ASKED] = _Asked(image, name, answer, time.time())


def _look(image: bytes, engine: Engine, *, site: str | None, words: bool) -> SeenFrame:
    """What the model sees in an image, and says of it if asked; in the worker's thread."""
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
        described = None
        if words:
            described = DescribeTool(sessions=sessions).invoke({"video": str(path), "site": site}).description
        session, tower = sessions.open(ClipInput(video=str(path))), sessions.encoder(TOWER)
        vectors = {views: session.picture_vector(tower, views) for views in FRAME_VIEWS}
    return SeenFrame(described, vectors, tower_sha256(engine.info))


@st.fragment(run_every=_LOOK_AGAIN)
def _look_on(asked: _Asked) -> None:
    if asked.answer.done():
        st.rerun()
    waiting = "waits for its turn" if not asked.answer.running() else "looks at the frame"
    st.status(f"The model {waiting}: {time.time() - asked.begun:.0f} s", state="running")


def _described(asked: _Asked) -> SeenFrame | None:
    error = asked.answer.exception()
    if error is not None:
        st.error("The frame was not looked at.", icon=":material/error:")
        st.text(str(error))
        return None
    seen = asked.answer.result()
    picture, words = st.columns([1, 2])
    picture.image(asked.image, width="stretch", alt="The frame that was looked at")
    picture.text(asked.name)
    if seen.description is not None:
        words.caption("The model's description")
        words.text(seen.description or "The model wrote nothing.")
    return seen
