"""Boxes in pixels: where writing lies in one frame."""

from __future__ import annotations

from collections.abc import Sequence

PixelBox = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are outside of the box."""

_SAME_PLACE = 0.6  # of the smaller box lies in the other
_LIKE_HEIGHT = 1.7  # largest ratio of the heights of one line, such as "no" and "Diagnosis"
_ROW_GAP = 3.0  # of the lower height, between two parts of one row
_ONE_ROW = 0.5  # of the lower height, that two parts of one row share
_LINE_GAP = 1.0  # of the lower height, between two lines of one block


def same_place(a: PixelBox, b: PixelBox) -> bool:
    """Return whether most of the smaller box lies in the other; a word may be missed in one of the frames."""
    return intersection(a, b) > _SAME_PLACE * min(area(a), area(b))


def intersection(a: PixelBox, b: PixelBox) -> int:
    """Return the pixels that two boxes share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def area(box: PixelBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def around(boxes: Sequence[PixelBox]) -> PixelBox:
    """Return the smallest box that holds all."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def like_height(a: PixelBox, b: PixelBox) -> bool:
    """Return whether two boxes are about equally high."""
    low, tall = sorted((a[3] - a[1], b[3] - b[1]))
    return tall <= _LIKE_HEIGHT * low


def one_row(a: PixelBox, b: PixelBox, gap: float = _ROW_GAP) -> bool:
    """Return whether two boxes stand side by side, at most ``gap`` heights apart."""
    height = min(a[3] - a[1], b[3] - b[1])
    return _apart(a, b, 1) < -_ONE_ROW * height and _apart(a, b, 0) < gap * height


def one_block(a: PixelBox, b: PixelBox) -> bool:
    """Return whether two boxes are neighbouring lines or parts of one row."""
    height = min(a[3] - a[1], b[3] - b[1])
    return one_row(a, b) or (_apart(a, b, 0) < 0 and _apart(a, b, 1) < _LINE_GAP * height)


def _apart(a: PixelBox, b: PixelBox, axis: int) -> int:
    """Return the pixels between two boxes along an axis; below 0 they overlap."""
    return max(a[axis], b[axis]) - min(a[axis + 2], b[axis + 2])
