"""Writing in inks that no stain has: pure colours, black, and white.

The reader misses letters straight on tissue whose brightness is that of the tissue, such as green or yellow ones, and black
ones among dark nuclei. By colour they stand out: each ink gives a picture of dark letters on white, which is read as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from videopath.media.writing.boxes import PixelBox

_RANGES = {
    "colour": (120, 190),
    "green": (25, 70),
    "yellow": (60, 130),
    "black": (185, 225),
    "white": (232, 250),
}
"""Ink → grey levels of its measure: below the first there is none, above the second it is full."""

_MOST = 0.12  # share of the picture; more is no ink but a background, a bar or empty glass
_NO_STROKES = tuple(np.ones(size, np.uint8) for size in ((15, 15), (1, 61), (61, 1)))
"""What holds one of these is a bar, a plate or a border."""
_EDGE = np.ones((5, 5), np.uint8)  # its soft border
_WINDOW = (48, 12)  # pixels, width and height
_DENSITY = 0.10  # least share of ink in a window
_AROUND = (72, 32)  # pixels by which a part is enlarged
_MANY_PARTS = 0.5  # share of the picture; so much is no writing but a stain of that colour


def ink_pictures(
    picture: np.ndarray, known: Sequence[PixelBox] = ()
) -> Iterator[tuple[np.ndarray, list[PixelBox]]]:
    """Yield pictures with one ink each, dark on white, uint8 [H,W,3], and the parts of them that may hold writing.

    Args:
        picture: uint8 [H,W,3], RGB.
        known: Boxes of writing that was read already.
    """
    red, green, blue = cv2.split(picture)
    high, low = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    measures = {
        "colour": high - low,
        "green": cv2.subtract(green, cv2.max(red, blue)),
        "yellow": cv2.subtract(cv2.min(red, green), blue),
        "black": 255 - high,
        "white": low,
    }
    for ink, measure in measures.items():
        first, full = _RANGES[ink]
        strong = (measure >= (first + full) // 2).astype(np.uint8)
        if not 0 < strong.mean() <= _MOST:
            continue
        for no_stroke in _NO_STROKES:
            strong[cv2.dilate(cv2.morphologyEx(strong, cv2.MORPH_OPEN, no_stroke), _EDGE) > 0] = 0
        for left, top, right, bottom in known:
            strong[top:bottom, left:right] = 0
        parts = _parts(strong)
        if parts:
            level = cv2.convertScaleAbs(np.maximum(measure, first) - first, alpha=255 / (full - first))
            yield cv2.cvtColor(255 - level, cv2.COLOR_GRAY2RGB), parts


def _parts(strong: np.ndarray) -> list[PixelBox]:
    dense = (cv2.blur(strong * np.uint8(100), _WINDOW) >= 100 * _DENSITY).astype(np.uint8)
    if not dense.any():
        return []
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(dense, np.ones(_AROUND[::-1], np.uint8)))
    boxes = [
        (int(left), int(top), int(left + wide), int(top + tall)) for left, top, wide, tall, _ in stats[1:]
    ]
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    return boxes if covered <= _MANY_PARTS * strong.size else []
