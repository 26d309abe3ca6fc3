"""The choice of a closer look: a shorter segment around the most telling moment, cropped to the tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from videopath.media.crop import WHOLE, Crop, within
from videopath.tools.schemas import ClipInput, LocatedFinding

if TYPE_CHECKING:
    from videopath.agent.cases.records import VideoFacts
    from videopath.model import Clip

_SEGMENT_SHARE = 0.25  # of the present segment
_MIN_SEGMENT = 1.0  # seconds
_CROP_SHARE = 0.5  # of the present width and height
_MIN_CROP = 128  # pixels of the source: a smaller crop only enlarges blur
_CELLS = 16  # the frame is divided into 16 × 16 cells
_MIN_COLOUR = 20  # of 255, largest minus smallest channel: stained tissue, not glass


def can_look_closer(facts: VideoFacts, request: ClipInput) -> bool:
    """Return whether a shorter segment or a smaller crop of this request can show something new."""
    return _can_crop(facts, request.crop or WHOLE) or _can_shorten(facts, request)


def closer_request(facts: VideoFacts, request: ClipInput, moment: float, view: Clip) -> ClipInput:
    """Return the request of a closer look.

    Args:
        facts: The source.
        request: The request of the present look.
        moment: The most telling moment, in seconds.
        view: The frame at this moment, cropped as in ``request``.
    """
    start, end = (
        _segment(facts, request, moment) if _can_shorten(facts, request) else (request.start, request.end)
    )
    crop = request.crop
    if _can_crop(facts, crop or WHOLE):
        crop = within(crop or WHOLE, tissue_window(view.frames[0]))
    return request.model_copy(update={"start": start, "end": end, "crop": crop, "sampling": "uniform"})


def most_telling(findings: list[LocatedFinding]) -> LocatedFinding | None:
    """Return the finding with the highest contrast between its moment and the others; None if no finding has a moment."""
    located = [finding for finding in findings if finding.is_located]
    return max(located, key=lambda finding: finding.contrast, default=None)


def tissue_window(frame: np.ndarray) -> Crop:
    """Return the window with the most sharp, stained detail: half as wide and half as high as the frame.

    Args:
        frame: uint8 [H,W,3], RGB.

    Returns:
        Left, top, right and bottom as shares of the frame.
    """
    pixels = frame.astype(np.float32)
    grey = pixels.mean(axis=2)  # [H,W]
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > _MIN_COLOUR
    rows, columns = np.gradient(grey)
    cells = _cell_sums((np.abs(rows) + np.abs(columns)) * coloured)  # [16,16]
    side = int(_CELLS * _CROP_SHARE)
    sums = np.lib.stride_tricks.sliding_window_view(cells, (side, side)).sum(axis=(2, 3))  # [9,9]
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    return (
        float(column / _CELLS),
        float(row / _CELLS),
        float((column + side) / _CELLS),
        float((row + side) / _CELLS),
    )


def _cell_sums(values: np.ndarray) -> np.ndarray:
    """Sum the values of each cell: [H,W] → [16,16]."""
    rows = np.linspace(0, values.shape[0], _CELLS, endpoint=False, dtype=int)
    columns = np.linspace(0, values.shape[1], _CELLS, endpoint=False, dtype=int)
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)


def _can_crop(facts: VideoFacts, crop: Crop) -> bool:
    width = (crop[2] - crop[0]) * facts.width
    height = (crop[3] - crop[1]) * facts.height
    return min(width, height) * _CROP_SHARE >= _MIN_CROP


def _span(facts: VideoFacts, request: ClipInput) -> tuple[float, float]:
    return request.start or 0.0, request.end if request.end is not None else facts.duration


def _can_shorten(facts: VideoFacts, request: ClipInput) -> bool:
    start, end = _span(facts, request)
    return facts.kind != "image" and (end - start) * _SEGMENT_SHARE >= _MIN_SEGMENT


def _segment(facts: VideoFacts, request: ClipInput, moment: float) -> tuple[float, float]:
    """Return a quarter of the present segment, around the moment and within the segment."""
    start, end = _span(facts, request)
    length = (end - start) * _SEGMENT_SHARE
    first = min(max(moment - length / 2, start), end - length)
    return round(first, 3), round(first + length, 3)
