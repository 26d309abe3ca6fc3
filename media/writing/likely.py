"""The cheap look before the reader: which parts of a picture are sharp enough to hold writing.

Letters are rows of hard edges. Most fields of tissue are softer, and most frames of a video are soft enough that the reader
need not look at them at all. The measure takes about a millisecond for a frame.
"""

from __future__ import annotations

import cv2
import numpy as np

from videopath.media.writing.boxes import PixelBox

LEAST_EDGES = 26
"""Grey levels between neighbouring pixels, on average in a window of the size of a short word of 10 px letters."""

_WINDOW = (48, 12)  # pixels, width and height
_STRONG = 120  # grey levels; a stronger edge counts no more, so that a border is no word
_AROUND = (72, 32)  # pixels by which a part is enlarged, so that whole words lie in it
_SPECK = np.ones((2, 8), np.uint8)  # smaller parts are no word
_MOST = 0.6  # of the picture; if the parts cover more, the whole picture is read


def likely_parts(picture: np.ndarray) -> list[PixelBox]:
    """Return the parts of a picture, uint8 [H,W,3], that may hold small writing; the whole if they cover most of it.

    Letters of more than about 28 pixels have too few edges in a window; they are searched in the picture at half the size.
    """
    height, width = picture.shape[:2]
    strong = (cv2.blur(_edges(picture), _WINDOW) >= LEAST_EDGES).astype(np.uint8)
    sharp = cv2.morphologyEx(strong, cv2.MORPH_OPEN, _SPECK)
    if not sharp.any():
        return []
    count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(sharp, np.ones(_AROUND[::-1], np.uint8)))
    covered = np.zeros((height, width), np.uint8)
    for left, top, wide, tall, _ in stats[1:]:
        covered[top : top + tall, left : left + wide] = 1
    if covered.mean() > _MOST:
        return [(0, 0, width, height)]
    count, _, stats, _ = cv2.connectedComponentsWithStats(covered)
    boxes = [
        (int(left), int(top), int(left + wide), int(top + tall)) for left, top, wide, tall, _ in stats[1:]
    ]
    whole = (
        sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) > _MOST * height * width
    )
    return [(0, 0, width, height)] if whole else boxes


def _edges(picture: np.ndarray) -> np.ndarray:
    """Return the largest change of any channel to the next pixel on the right or below, uint8 [H,W]."""
    edges = np.zeros(picture.shape[:2], np.uint8)
    edges[:, :-1] = _highest(cv2.absdiff(picture[:, 1:], picture[:, :-1]))
    edges[:-1] = cv2.max(edges[:-1], _highest(cv2.absdiff(picture[1:], picture[:-1])))
    return cv2.min(edges, np.full_like(edges, _STRONG))


def _highest(picture: np.ndarray) -> np.ndarray:
    return cv2.max(cv2.max(picture[..., 0], picture[..., 1]), picture[..., 2])
