"""Which frames of a video are looked at: three rules, all on plain frame numbers.

``uniform`` and ``fps`` repeat VideoPath-LLaVA's inference and training rules to the digit (LLaVA-NeXT's
``process_video_with_decord``); ``keyframes`` is this project's own.
"""

from __future__ import annotations

import cv2
import numpy as np

from videopath.core.errors import InputError

MAX_CANDIDATES = 192
"""Frames that ``keyframes`` looks at, at most, however long the video is."""


class SlowVideoError(InputError):
    """A video has too few frames a second for the rule ``fps``."""


_THUMB = 160
_SAME_FRAME = 0.02
_BLURRED = 0.15


def uniform_indices(total: int, count: int) -> np.ndarray:
    """The original's inference rule: ``linspace`` over all frames, truncated; always ``count``, short videos repeat.

    Returns int64 [count], rising, the first 0 and (for ``count`` > 1) the last ``total - 1``.
    """
    _positive(total, "frames in the video")
    _positive(count, "frames asked for")
    return np.linspace(0, total - 1, count, dtype=int).astype(np.int64)


def training_fps_indices(
    total: int,
    avg_fps: float,
    *,
    video_fps: float = 1.0,
    frames_upbound: int = 32,
    force_sample: bool = False,
) -> np.ndarray:
    """The original's training rule: every ``round(avg_fps / video_fps)``-th frame (Python's banker's rounding).

    More than ``frames_upbound`` of them (0: no bound), or ``force_sample``, give way to the uniform rule. A video
    so slow that the step is 0 (where the original crashed and silently took another sample) raises InputError.
    """
    _positive(total, "frames in the video")
    step = round(avg_fps / video_fps)
    if step < 1:
        raise SlowVideoError(
            f'The sampling "fps" needs more than {video_fps / 2:g} frames per second on average, this video has '
            f'{avg_fps:.3g}; use the sampling "uniform".'
        )
    indices = np.arange(0, total, step, dtype=np.int64)
    if frames_upbound > 0 and (len(indices) > frames_upbound or force_sample):
        return uniform_indices(total, frames_upbound)
    return indices


def candidate_indices(total: int, count: int) -> np.ndarray:
    """Frames that ``keyframes`` compares before it chooses ``count``: evenly spread, at most MAX_CANDIDATES or so."""
    return np.unique(uniform_indices(total, min(total, max(4 * count, 64), max(MAX_CANDIDATES, count))))


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """A frame made small, uint8 [h,w,3], long side about 160 px: all that ``keyframes`` keeps of a candidate."""
    height, width = frame.shape[:2]
    scale = min(1.0, _THUMB / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def choose_keyframes(thumbnails: list[np.ndarray], count: int) -> list[int]:
    """Positions, rising, of at most ``count`` thumbnails that differ from one another and show sharp tissue.

    Starts at the frame that shows most and adds, again and again, the frame whose worth times distance to those
    chosen is largest; near repeats and frames without sharp tissue are left out, so there may be fewer than ``count``.
    """
    worth = np.array([_worth(thumb) for thumb in thumbnails])
    looks = np.stack([_look(thumb) for thumb in thumbnails])  # [N, 192]
    chosen = [int(worth.argmax())]
    distance = np.abs(looks - looks[chosen[0]]).mean(axis=1)
    floor = _BLURRED * worth.max()
    while len(chosen) < min(count, len(thumbnails)):
        gain = np.where((distance > _SAME_FRAME) & (worth >= floor), worth * distance, 0.0)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        chosen.append(best)
        distance = np.minimum(distance, np.abs(looks - looks[best]).mean(axis=1))
    return sorted(chosen)


def _worth(thumb: np.ndarray) -> float:
    """How much sharp tissue a thumbnail shows: share of coloured, not white, not black pixels times edge strength."""
    hsv = cv2.cvtColor(thumb, cv2.COLOR_RGB2HSV)
    tissue = float(((hsv[..., 1] > 20) & (hsv[..., 2] > 40)).mean())
    gray = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharp = float(np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean())
    return (0.02 + tissue) * (0.5 + min(sharp, 40.0))


def _look(thumb: np.ndarray) -> np.ndarray:
    """A thumbnail as 8 × 8 mean colours in [0, 1], flat: what two frames are compared by."""
    return cv2.resize(thumb, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255.0


def _positive(value: int, what: str) -> None:
    if value < 1:
        raise InputError(f"The number of {what} must be at least 1, not {value}.")
