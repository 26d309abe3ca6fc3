"""Frames as small pictures, decoded once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from videopath.core.errors import InputError
from videopath.media.crop import Crop

_SIDE = 320  # pixels of a thumbnail's longer side
_WIDTH = 108  # pixels on the page
_MANY, _TALL = 18, 480  # more frames than that scroll within so many pixels


def show_frames(request: dict[str, Any]) -> None:
    """The frames of a ``ClipInput`` with their moments; a sentence where the video is no longer there."""
    try:
        seconds, pictures = _thumbnails(**request, changed=_changed(request["video"]))
    except InputError as error:
        st.text(f"The frames cannot be shown: {error}")
        return
    times = Counter(seconds)
    shown = dict(zip(seconds, pictures, strict=True))  # a short segment shows frames several times
    told = [_told(second, times[second], still=len(pictures) == 1) for second in shown]
    with st.container(height=_TALL if len(shown) > _MANY else "content", border=False):
        st.image(
            list(shown.values()), caption=told, width=_WIDTH, alt=[f"frame at {moment}" for moment in told]
        )


def _told(second: float, times: int, *, still: bool) -> str:
    if still:
        return "still image"
    return f"{second:.2f} s" + (f", {times} times" if times > 1 else "")


@st.cache_data(max_entries=48, show_spinner="Decoding the frames…")
def _thumbnails(
    video: str,
    frames: int | None,
    start: float | None,
    end: float | None,
    crop: Crop | None,
    sampling: Any,
    changed: float,
) -> tuple[list[float], list[np.ndarray]]:
    """Moments and pictures uint8 [h,w,3]; ``changed`` is the file's time of change, so that a new file is read."""
    import cv2

    from videopath.model import open_clip

    clip = open_clip(video, frames or 8, start, end, sampling, crop=crop)
    scale = min(1.0, _SIDE / max(clip.frames.shape[1:3]))
    height, width = (max(1, round(side * scale)) for side in clip.frames.shape[1:3])
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip.frames]
    return [float(second) for second in clip.seconds], small


def _changed(video: str) -> float:
    path = Path(video)
    return path.stat().st_mtime if path.exists() else 0.0
