"""Bar codes and matrix codes (QR, Data Matrix, Aztec, PDF417 and others) in one picture; what they say is not kept."""

from __future__ import annotations

import cv2
import numpy as np

from videopath.media.writing.boxes import PixelBox

_QUIET = 0.12  # of the shorter side of a code: the margin around it
_ALIKE = 0.5  # correlation of a line of pixels with the bars, as long as it crosses them
_MISSED = 3  # lines in a row that do not cross bars end a bar code


def read_codes(picture: np.ndarray) -> list[PixelBox]:
    """Return the boxes of the codes in a picture, uint8 [H,W,3], that pass their own checksum."""
    import zxingcpp

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    boxes = []
    for code in zxingcpp.read_barcodes(grey):
        place = code.position
        corners = [
            (p.x, p.y) for p in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        ]
        (left, top), (right, bottom) = np.min(corners, axis=0).tolist(), np.max(corners, axis=0).tolist()
        upright = abs(corners[1][0] - corners[0][0]) >= abs(corners[1][1] - corners[0][1])
        boxes.append(_with_quiet_zone(_grown(grey, (left, top, right + 1, bottom + 1), upright), grey.shape))
    return boxes


def _grown(grey: np.ndarray, box: PixelBox, upright: bool) -> PixelBox:
    """Return a box as long as the bars are; the reader crosses a bar code only in a few lines.

    Args:
        grey: The picture, uint8 [H,W].
        box: Where the code was read.
        upright: Whether a line of the code runs from left to right; otherwise it runs up or down.
    """
    if not upright:
        left, top, right, bottom = box
        top, left, bottom, right = _grown(grey.T, (top, left, bottom, right), True)
        return left, top, right, bottom
    left, top, right, bottom = box
    lines = grey[:, max(left, 0) : right].astype(np.float32)
    middle = min(max((top + bottom) // 2, 1), len(lines) - 2)
    bars = lines[middle - 1 : middle + 2].mean(axis=0)
    alike = _correlations(lines, bars) > _ALIKE
    return left, min(top, _end(alike, middle, -1)), right, max(bottom, _end(alike, middle, 1) + 1)


def _correlations(lines: np.ndarray, bars: np.ndarray) -> np.ndarray:
    lines, bars = lines - lines.mean(axis=1, keepdims=True), bars - bars.mean()
    lengths = np.linalg.norm(lines, axis=1) * np.linalg.norm(bars)
    return lines @ bars / np.maximum(lengths, 1e-6)


def _end(alike: np.ndarray, middle: int, step: int) -> int:
    """Return the last line in a direction that crosses the bars."""
    last = line = middle
    while 0 <= line < len(alike) and abs(line - last) <= _MISSED:
        last = line if alike[line] else last
        line += step
    return last


def _with_quiet_zone(box: PixelBox, shape: tuple[int, ...]) -> PixelBox:
    left, top, right, bottom = box
    margin = 2 + round(_QUIET * min(right - left, bottom - top))
    return (
        max(left - margin, 0),
        max(top - margin, 0),
        min(right + margin, shape[1]),
        min(bottom + margin, shape[0]),
    )
