"""Overlays: what a viewer or a person drew over a picture, such as labels, scale bars, arrows, frames and cursors.

The quality gate must judge the tissue and not its label. Overlays are recognised by features that no stain has: straight
edges, pure colours, and writing that can be read. They are then covered with other parts of the same picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from videopath.media.writing.likely import likely_parts
from videopath.media.writing.remembered import read_frame

MAX_SHARE = 0.4
"""A picture with a larger share of overlays is a drawing."""

_PURE = 150  # grey levels between the highest and the lowest channel of a drawn colour
_LET_THROUGH, _STOPPED = 170, 50  # least highest and most lowest channel of a drawn colour
_BLACK = 28
_MAX_BLACK = 0.15  # share of black plates and bars; more is a dark background or a shadow
_STEP = 14  # grey levels of a straight edge
_MIN_EDGE = 18  # pixels of its length, or a tenth of the side
_AROUND = np.ones((5, 5), np.uint8)  # the soft edge of an overlay


def find_overlays(rgb: np.ndarray) -> np.ndarray:
    """Return a mask, bool [h,w], of what was drawn over a picture, uint8 [h,w,3], except for writing."""
    high, low = rgb.max(axis=-1).astype(int), rgb.min(axis=-1).astype(int)
    drawn, black = (high > _LET_THROUGH) & (low < _STOPPED) & (high - low > _PURE), high < _BLACK
    if black.mean() <= _MAX_BLACK:
        drawn |= black
    drawn |= _straight_edges(rgb)
    return cv2.dilate(drawn.astype(np.uint8), _AROUND).astype(bool)


def without_overlays(rgb: np.ndarray, drawn: np.ndarray) -> np.ndarray | None:
    """Cover overlays with other parts of the picture; None if there are no overlays, or more than MAX_SHARE."""
    if not 0 < drawn.mean() <= MAX_SHARE:
        return None
    covered, left = rgb.copy(), drawn.copy()
    for down, across in _shifts(*drawn.shape):
        if not left.any():
            break
        usable = left & ~_shifted(drawn, down, across, True)
        covered[usable] = _shifted(rgb, down, across, 0)[usable]
        left &= ~usable
    return covered


def _straight_edges(rgb: np.ndarray) -> np.ndarray:
    """Return long horizontal and vertical edges, as borders of plates have, even of translucent ones."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.int16)
    return _level_edges(grey) | _level_edges(grey.T).T


def _level_edges(grey: np.ndarray) -> np.ndarray:
    step = np.diff(grey, axis=0, append=grey[-1:])
    run = np.ones((1, max(_MIN_EDGE, grey.shape[1] // 10)), np.uint8)
    return np.logical_or.reduce(
        [
            cv2.morphologyEx((sign * step > _STEP).astype(np.uint8), cv2.MORPH_OPEN, run).astype(bool)
            for sign in (1, -1)
        ]
    )


def find_letters(rgb: np.ndarray) -> np.ndarray:
    """Return a mask, bool [h,w], of the writing and codes in a picture, with the plates around them; this reads it."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for left, top, right, bottom in (line.box for line in read_frame(rgb)):
        margin = bottom - top
        start = int(left - 1.2 * margin), int(top - 0.7 * margin)
        cv2.rectangle(mask, start, (int(right + 1.2 * margin), int(bottom + 0.7 * margin)), 1, -1)
    return mask.astype(bool)


def maybe_letters(rgb: np.ndarray) -> np.ndarray:
    """Return a mask, bool [h,w], of the parts of a picture that are sharp enough to hold writing, without reading it."""
    mask = np.zeros(rgb.shape[:2], bool)
    for left, top, right, bottom in likely_parts(rgb):
        mask[top:bottom, left:right] = True
    return mask


def _shifts(height: int, width: int) -> list[tuple[int, int]]:
    """Return the shifts at which covering parts are searched, the smallest first."""
    steps = [(sign * n * height // 16, 0) for n in range(1, 14) for sign in (1, -1)]
    steps += [(0, sign * n * width // 16) for n in range(1, 14) for sign in (1, -1)]
    return sorted(steps, key=lambda step: abs(step[0]) + abs(step[1]))


def _shifted(values: np.ndarray, down: int, across: int, outside: bool | int) -> np.ndarray:
    """Shift ``values`` by whole pixels; ``outside`` fills what comes from beyond the border."""
    moved = np.full_like(values, outside)
    height, width = values.shape[:2]
    to = np.s_[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)]
    source = np.s_[max(-down, 0) : height + min(-down, 0), max(-across, 0) : width + min(-across, 0)]
    moved[to] = values[source]
    return moved
