"""What the viewer loads: the copy of the video, small pictures of the frames, and a frame in full resolution."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from videopath.core.choices import WritingRule
from videopath.core.privacy.paths import find_path
from videopath.media.masks import Masks

_SMALL = 1280  # pixels of the longer side of a small picture, as of the copy of a video
_FULL = 12_000  # pixels of the longer side of the largest JPEG that is sent
_QUALITY = {"small": 85, "full": 92}


def media_url(content: Path | bytes, kind: str, place: str) -> str:
    """Return the address at which the browser of this session loads a file or picture.

    Args:
        content: A file, or the bytes themselves.
        kind: Its media type, such as "video/mp4".
        place: What it is for; another content of the same place takes its address away.
    """
    if not runtime.exists():
        return ""
    manager = runtime.get_instance().media_file_mgr
    if isinstance(content, bytes):
        return manager.add(content, kind, f"viewer {place}")
    changed = content.stat().st_mtime_ns
    key = f"viewer_url {place}"
    known = st.session_state.get(key)
    if known and known[:2] == (str(content), changed) and _draws_a_part():
        return str(known[2])
    url = manager.add(str(content), kind, f"viewer {place}")
    st.session_state[key] = (str(content), changed, url)
    return url


def _draws_a_part() -> bool:
    """Whether only a part of the page is drawn; its files are then kept, and none is read again."""
    context = get_script_run_ctx()
    return bool(context and context.fragment_ids_this_run)


@st.cache_data(max_entries=16, show_spinner="Reading the frame…")
def full_frame(
    video: str, changed: float, seconds: float, writing: WritingRule, masks: Masks | None = None
) -> bytes:
    """Return the whole frame at a moment as JPEG, in the resolution of the source, with its writing filled.

    Args:
        video: The source.
        changed: When the file was changed, so that a new file is read again.
        seconds: The moment.
        writing: Which writing is filled.
        masks: A person's changes to what is filled.

    Raises:
        InputError: The frame cannot be read.
    """
    from videopath.app.web.runtime.playable import frame_at

    return _jpeg(frame_at(Path(video), seconds, writing=writing, masks=masks), "full", _FULL)


@st.cache_data(max_entries=16, show_spinner="Reading the frame…")
def small_frame(
    video: str, changed: float, seconds: float, writing: WritingRule, masks: Masks | None = None
) -> bytes:
    """Return the whole frame at a moment as a JPEG of at most 1,280 pixels; the arguments are those of a full frame."""
    from videopath.app.web.runtime.playable import frame_at

    return _jpeg(frame_at(Path(video), seconds, writing=writing, masks=masks), "small", _SMALL)


@st.cache_data(max_entries=8, show_spinner="Decoding the frames…")
def small_frames(request: dict[str, Any], changed: float) -> list[tuple[float, bytes]]:
    """Return moment and JPEG of each frame of a clip, whole and with its writing filled, each moment once.

    Args:
        request: The fields of a ``ClipInput``.
        changed: When the file was changed, so that a new file is read again.

    Raises:
        InputError: The video cannot be read.
    """
    from videopath.model import open_clip

    clip = open_clip(
        request["video"],
        request.get("frames") or 8,
        request.get("start"),
        request.get("end"),
        request.get("sampling") or "uniform",
        writing=request["writing"],
        masks=Masks.model_validate(request["masks"]) if request.get("masks") else None,
    )
    pictures = dict(zip(map(float, clip.seconds), clip.frames, strict=True))
    return [(seconds, _jpeg(picture, "small", _SMALL)) for seconds, picture in pictures.items()]


def changed_at(video: str) -> float:
    """Return when a file was changed; 0 if it is not there."""
    path = find_path(video)
    return path.stat().st_mtime if path.exists() else 0.0


def _jpeg(picture: np.ndarray, size: str, side: int) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.BOX if size == "small" else Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY[size], subsampling=0)
    return written.getvalue()
