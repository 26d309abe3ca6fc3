"""The preview of a video: its facts, its quality, and its sampled frames as small pictures, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.agent.cases.records import VideoFacts
from videopath.core.choices import Sampling

if TYPE_CHECKING:
    from videopath.media.quality.gate import Quality
    from videopath.media.writing.records import BurnedIn

THUMBNAIL_SIDE = 320  # largest longer side, pixels


@dataclass(frozen=True, eq=False)
class Preview:
    """What a person sees of a video before a case is started."""

    facts: VideoFacts
    quality: Quality
    burned_in: BurnedIn
    """Burned-in writing, which may name the patient or give the diagnosis away."""
    thumbnails: np.ndarray
    """uint8 [T,h,w,3], RGB, the frames of ``facts.seconds``; long side 320 pixels at most."""


def preview(
    video: str | Path,
    *,
    frames: int = 8,
    start: float | None = None,
    end: float | None = None,
    sampling: Sampling = "uniform",
) -> Preview:
    """Sample a video as a case would, and judge its quality. No model is loaded.

    Args:
        video: A video, an image or a folder of frames.
        frames: How many frames are sampled.
        start: First second of the segment; None: the beginning.
        end: Last second of the segment; None: the end.
        sampling: How the frames are chosen.

    Returns:
        The preview. If the quality gate rejects the video, ``quality.verdict`` is "refused".

    Raises:
        InputError: The video cannot be read.
    """
    from videopath.media.clip import open_clip
    from videopath.media.quality.gate import assess
    from videopath.media.writing.search import find_writing

    clip = open_clip(video, frames, start, end, sampling)
    thumbnails = np.stack([_thumbnail(frame) for frame in clip.frames])  # [T,h,w,3]
    return Preview(VideoFacts.of(clip), assess(clip), find_writing(clip), thumbnails)


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    import cv2

    height, width = frame.shape[:2]
    scale = THUMBNAIL_SIDE / max(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
