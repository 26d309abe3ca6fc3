"""The preview of a video: its facts, its quality, and its sampled frames as small pictures, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.agent.cases.records import VideoFacts
from videopath.core.choices import Sampling, WritingRule
from videopath.media.crop import as_shares, checked_crop
from videopath.media.masks import Masks

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
    """Burned-in writing, which may name the patient or give the diagnosis away, and what of it was filled."""
    thumbnails: np.ndarray
    """uint8 [T,h,w,3], RGB, the frames of ``facts.seconds``, filled and cropped; long side 320 pixels at most."""


def preview(
    video: str | Path,
    *,
    frames: int = 8,
    start: float | None = None,
    end: float | None = None,
    sampling: Sampling = "uniform",
    crop: Sequence[float] | None = None,
    writing: WritingRule = "mask-all",
    masks: Masks | None = None,
) -> Preview:
    """Sample a video as a case would, and judge its quality. No model is loaded.

    Args:
        video: A video, an image or a folder of frames.
        frames: How many frames are sampled.
        start: First second of the segment; None: the beginning.
        end: Last second of the segment; None: the end.
        sampling: How the frames are chosen.
        crop: The part of each frame, as shares, or in pixels if one of them is above 1; None: the whole frame.
        writing: Which burned-in writing is filled.
        masks: A person's changes to the filled places, as shares of the whole frame.

    Returns:
        The preview. If the quality gate rejects the video, ``quality.verdict`` is "refused".

    Raises:
        InputError: The video cannot be read, or the crop encloses nothing.
    """
    from videopath.media.clip import open_clip, open_source
    from videopath.media.quality.gate import assess
    from videopath.media.writing.cropping import writing_of

    part = None
    if crop is not None:
        checked_crop(crop)
        source = open_source(Path(video))
        part = as_shares(crop, source.width, source.height)
    clip = open_clip(video, frames, start, end, sampling, crop=part, writing=writing, masks=masks)
    thumbnails = np.stack([_thumbnail(frame) for frame in clip.frames])  # [T,h,w,3]
    return Preview(VideoFacts.of(clip), assess(clip), writing_of(clip, part), thumbnails)


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    import cv2

    height, width = frame.shape[:2]
    scale = THUMBNAIL_SIDE / max(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
