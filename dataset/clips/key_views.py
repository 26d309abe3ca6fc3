"""Which moments of a case become keyframe clips: different, sharp, steady views."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from videopath.media.sampling import choose_keyframes

_SHORTEST = 2.0  # seconds
_PAN = 1.5  # times the median change between two frames; more is a pan or a jump
_STILL = 2.0  # grey levels; a smaller change is no pan in any case


def key_windows(
    thumbnails: Sequence[np.ndarray], fps: float, count: int, longest: float
) -> list[tuple[int, int]]:
    """Choose windows around the most telling views.

    Args:
        thumbnails: The frames of a case, as :func:`videopath.media.sampling.thumbnail` returns them, evenly spaced.
        fps: Frames per second.
        count: Most windows.
        longest: Seconds of the longest window.

    Returns:
        First frame and end (exclusive) of each window, in order; windows do not overlap.
    """
    total = len(thumbnails)
    if count < 1 or total < 2:
        return []
    changes = _changes(thumbnails)  # [total - 1]
    limit = max(_STILL, _PAN * float(np.median(changes)))
    before, after = np.concatenate([[0.0], changes]), np.concatenate([changes, [0.0]])
    calm = np.flatnonzero(np.maximum(before, after) <= limit).tolist()
    candidates: list[int] = calm or list(range(total))
    chosen = [candidates[i] for i in choose_keyframes([thumbnails[i] for i in candidates], count)]
    longest_frames = max(1, int(longest * fps + 1e-6))
    shortest_frames = min(longest_frames, max(2, round(_SHORTEST * fps)))
    windows = []
    for number, key in enumerate(chosen):
        low = (chosen[number - 1] + key) // 2 + 1 if number else 0
        high = (key + chosen[number + 1]) // 2 + 1 if number + 1 < len(chosen) else total
        windows.append(_window(key, changes, limit, (low, high), longest_frames, shortest_frames))
    return windows


def _window(
    key: int, changes: np.ndarray, limit: float, bounds: tuple[int, int], longest: int, shortest: int
) -> tuple[int, int]:
    """Widen a window to both sides as long as the view is steady, or until it is long enough to be a clip."""
    start, end = key, key + 1
    open_sides = True
    while end - start < longest and open_sides:
        open_sides = False
        wanted = end - start < shortest
        if end < bounds[1] and (wanted or changes[end - 1] <= limit):
            end, open_sides = end + 1, True
        if end - start < longest and start > bounds[0] and (wanted or changes[start - 1] <= limit):
            start, open_sides = start - 1, True
    return start, end


def _changes(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean change in grey levels between neighbours, float [n - 1]."""
    grey = [
        cv2.resize(cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY), (40, 30), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        for thumb in thumbnails
    ]
    return np.array([float(np.abs(b - a).mean()) for a, b in zip(grey, grey[1:], strict=False)])
