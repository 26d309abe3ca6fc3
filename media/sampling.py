"""Sampling rules: which frames of a video become the clip. All work on frame numbers only.

``uniform`` and ``fps`` repeat the inference and training rules of VideoPath-LLaVA exactly (``process_video_with_decord``
of LLaVA-NeXT). ``keyframes`` is VideoPath's own rule.
"""

from __future__ import annotations

import cv2
import numpy as np

from videopath.core.errors import InputError

MAX_CANDIDATES = 192
"""Most frames that ``keyframes`` compares, whatever the length of the video."""


class SlowVideoError(InputError):
    """A video has too few frames per second for the rule ``fps``."""


_THUMB = 160
_SAME_FRAME = 0.02
_BLURRED = 0.15


def uniform_indices(total: int, count: int) -> np.ndarray:
    """Return evenly spread frames: the inference rule of LLaVA-NeXT, ``linspace`` over all frames, truncated.

    Args:
        total: Frames in the video.
        count: Frames to return; frames of a shorter video repeat.

    Returns:
        int64 [count], rising. The first is 0, and for ``count`` > 1 the last is ``total - 1``.

    Raises:
        InputError: ``total`` or ``count`` is less than 1.
    """
    _positive(total, "frames in the video")
    _positive(count, "frames")
    return np.linspace(0, total - 1, count, dtype=int).astype(np.int64)


def training_fps_indices(
    total: int,
    avg_fps: float,
    *,
    video_fps: float = 1.0,
    frames_upbound: int = 32,
    force_sample: bool = False,
) -> np.ndarray:
    """Return every ``round(avg_fps / video_fps)``-th frame: the training rule of LLaVA-NeXT (banker's rounding).

    Args:
        total: Frames in the video.
        avg_fps: Frames per second of the video, on average.
        video_fps: Frames per second to return.
        frames_upbound: Most frames; above it the uniform rule returns exactly as many. 0: no limit.
        force_sample: Whether the uniform rule is used in any case.

    Returns:
        int64 [N], rising.

    Raises:
        SlowVideoError: The step would be 0. The original code crashed there and silently took another sample.
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
    """Return the frames that ``keyframes`` compares: evenly spread, at most ``max(MAX_CANDIDATES, count)``."""
    return np.unique(uniform_indices(total, min(total, max(4 * count, 64), max(MAX_CANDIDATES, count))))


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """Return a small copy of a frame, uint8 [h,w,3] with a long side of 160 pixels, for :func:`choose_keyframes`."""
    height, width = frame.shape[:2]
    scale = min(1.0, _THUMB / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def choose_keyframes(thumbnails: list[np.ndarray], count: int) -> list[int]:
    """Return the positions of thumbnails that differ from each other and show sharp tissue.

    The first is the thumbnail with most sharp tissue. Then the thumbnail with the largest product of sharp tissue and
    distance to the chosen ones is added, again and again. Near repeats and frames without sharp tissue are left out.

    Args:
        thumbnails: Candidates as :func:`thumbnail` returns them.
        count: Most positions to return.

    Returns:
        Rising positions, at least one and at most ``count``.
    """
    sharpness = np.array([_sharp_tissue(thumb) for thumb in thumbnails])
    colours = np.stack([_colours(thumb) for thumb in thumbnails])  # [N, 192]
    chosen = [int(sharpness.argmax())]
    distance = np.abs(colours - colours[chosen[0]]).mean(axis=1)
    floor = _BLURRED * sharpness.max()
    while len(chosen) < min(count, len(thumbnails)):
        gain = np.where((distance > _SAME_FRAME) & (sharpness >= floor), sharpness * distance, 0.0)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        chosen.append(best)
        distance = np.minimum(distance, np.abs(colours - colours[best]).mean(axis=1))
    return sorted(chosen)


def _sharp_tissue(thumb: np.ndarray) -> float:
    """Return how much sharp tissue a thumbnail shows: the share of coloured, not black pixels times edge strength."""
    hsv = cv2.cvtColor(thumb, cv2.COLOR_RGB2HSV)
    tissue = float(((hsv[..., 1] > 20) & (hsv[..., 2] > 40)).mean())
    gray = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharp = float(np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean())
    return (0.02 + tissue) * (0.5 + min(sharp, 40.0))


def _colours(thumb: np.ndarray) -> np.ndarray:
    """Return 8 × 8 mean colours in [0, 1], float32 [192], by which thumbnails are compared."""
    return cv2.resize(thumb, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255.0


def _positive(value: int, what: str) -> None:
    if value < 1:
        raise InputError(f"The number of {what} must be at least 1, not {value}.")
