"""Frames as thumbnails; they are decoded once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import streamlit as st

from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path
from videopath.media.crop import Crop
from videopath.media.masks import Masks
from videopath.tools.schemas import with_rule

_SIDE = 320  # pixels of a thumbnail's longer side
_WIDTH = 108  # pixels on the page
_MANY, _HEIGHT = 18, 480  # more frames than _MANY scroll in a box of _HEIGHT pixels


def show_frames(request: dict[str, Any]) -> None:
    """Show the frames of a case's ``ClipInput`` as the model saw them, or a sentence if the video cannot be read."""
    try:
        seconds, pictures = _thumbnails(**with_rule(request), changed=_changed(request["video"]))
    except InputError as error:
        st.text(f"The frames cannot be shown: {error}")
        return
    times = Counter(seconds)
    frames = dict(zip(seconds, pictures, strict=True))  # a clip of a short segment repeats frames
    captions = [_caption(second, times[second], still=len(pictures) == 1) for second in frames]
    with st.container(height=_HEIGHT if len(frames) > _MANY else "content", border=False):
        st.image(
            list(frames.values()),
            caption=captions,
            width=_WIDTH,
            alt=[f"frame at {caption}" for caption in captions],
        )


def _caption(second: float, times: int, *, still: bool) -> str:
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
    writing: WritingRule,
    changed: float,
    masks: dict[str, Any] | None = None,
) -> tuple[list[float], list[np.ndarray]]:
    """Moments and pictures uint8 [h,w,3]; ``changed`` is the file's time of change, so that a new file is read again."""
    import cv2

    from videopath.model import open_clip

    clip = open_clip(
        video,
        frames or 8,
        start,
        end,
        sampling,
        crop=crop and (*crop,),
        writing=writing,
        masks=Masks.model_validate(masks) if masks else None,
    )
    scale = min(1.0, _SIDE / max(clip.frames.shape[1:3]))
    height, width = (max(1, round(side * scale)) for side in clip.frames.shape[1:3])
    small = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip.frames]
    return [float(second) for second in clip.seconds], small


def _changed(video: str) -> float:
    path = find_path(video)
    return path.stat().st_mtime if path.exists() else 0.0
