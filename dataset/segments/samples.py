"""A few small pictures of each second of a recording, and what is measured in each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from scenedetect import FrameTimecode, SceneManager, VideoStream
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from videopath.media.video.source import VideoSource

STEP = 0.125
"""Seconds between two samples; a frame that stands longer is never left out."""
LONG_SIDE = 384
"""Long side of a sample in pixels."""
CELL = 16
"""Side of the cells in which a sample is measured, in pixels."""
GLIMPSE = (36, 24)
"""Columns and rows of the smallest picture that is kept of each sample."""

_STEP_OF_GREY = 6  # grey levels between neighbours where something is drawn or lies
_DETAILED, _EVEN = 0.5, 0.03  # share of such pixels in a cell
_COLOURED = 12  # levels between the highest and the lowest channel
_LIT = 30  # mean grey level
_YELLOW = -0.02  # optical density: blue minus green; stained tissue absorbs green more, skin and wood blue
_MOVED = 6.0  # grey levels by which the mean of a cell changes
_MOVED_DETAIL = 3.0  # grey levels by which its mean contrast changes
_SKIN_LOW, _SKIN_HIGH = np.array([0, 135, 80]), np.array([255, 180, 130])  # Y, Cr, Cb
_NOISE = 1.0  # squared grey levels of a change that the encoding makes
_CONTRAST_OF_LETTERS = 80  # grey levels
_LOGARITHM = np.log(np.arange(256, dtype=np.float32) + 1)
_MOST_REPEATS = 4800  # of a frame, ten minutes: times may have a senseless gap
_SHOT_SAMPLES = 4  # samples of the shortest shot
_LEAST_CHANGE = 4.0  # of AdaptiveDetector, in levels of hue, saturation and lightness


@dataclass(frozen=True)
class Samples:
    """What is measured in all samples; arrays have one row for each sample. Shares are of the picture's area.

    A frame that stands for long is repeated every STEP seconds, so that samples of all recordings are about even in time.
    """

    seconds: np.ndarray
    tissue: np.ndarray
    """Share of the cells that look like stained tissue."""
    stained: np.ndarray
    """Share of the coloured cells with detail that look like stained tissue; 1 without such cells."""
    field: np.ndarray
    """The rectangle around these cells: left, top, right, bottom as shares, [N,4]."""
    skin: np.ndarray
    """Share of the largest even area in a colour of skin."""
    bright: np.ndarray
    """The grey level that half a percent of the pixels exceed."""
    even: np.ndarray
    """Share of the cells in which nothing is drawn."""
    drawn: np.ndarray
    """Share of the cells with hard contrasts and without colour, as letters and windows have."""
    moved: np.ndarray
    """Share of the cells that changed since the sample before."""
    moved_tissue: np.ndarray
    """Share of the tissue cells that changed since the sample before."""
    steady: np.ndarray
    """Correlation of the change since the sample before with the change before that: near 1 while one picture dissolves
    into another, near 0 while things move."""
    glimpse: np.ndarray
    """The sample at GLIMPSE size, uint8 [N,rows,columns,3]."""
    cuts: tuple[int, ...] = ()
    """Numbers of the samples that begin a shot, by PySceneDetect."""

    def __len__(self) -> int:
        return len(self.seconds)


def sample(source: VideoSource, on_progress: Callable[[float], None]) -> Samples:
    """Look through a video once.

    Args:
        source: The video.
        on_progress: Called with the share that is done.

    Raises:
        InputError: The file is damaged.
    """
    stream = _SampleStream(source, on_progress)
    manager = SceneManager()
    manager.auto_downscale = False
    manager.add_detector(ContentDetector(min_scene_len=_SHOT_SAMPLES))
    manager.add_detector(
        AdaptiveDetector(min_scene_len=_SHOT_SAMPLES, min_content_val=_LEAST_CHANGE, window_width=2)
    )
    manager.detect_scenes(stream)
    cuts = sorted({start.frame_num for start, _ in manager.get_scene_list()} - {0})
    return stream.samples(tuple(cuts))


def shrink(picture: np.ndarray) -> np.ndarray:
    """Scale a picture, uint8 [H,W,3], to a long side of LONG_SIDE pixels."""
    height, width = picture.shape[:2]
    scale = LONG_SIDE / max(height, width)
    size = max(2 * CELL, round(width * scale)), max(2 * CELL, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


@dataclass(frozen=True)
class _Measured:
    """One sample: its numbers, in the order of the fields of :class:`Samples`, and its cells for the next one."""

    values: dict[str, Any]
    grey: np.ndarray
    detail: np.ndarray
    half: np.ndarray
    """The sample in grey at half size, float32."""
    change: np.ndarray
    """What changed in it since the sample before."""


def _measure(picture: np.ndarray, before: _Measured | None) -> _Measured:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    busy = (steps > _STEP_OF_GREY).astype(np.float32)
    red, green, blue = cv2.split(picture)
    span = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    yellow = cv2.LUT(green, _LOGARITHM) - cv2.LUT(blue, _LOGARITHM)
    share = _cells(busy)
    counted = np.maximum(share, 0.01)
    colour, hue = _cells(span * busy) / counted, _cells(yellow * busy) / counted
    means, detail = _cells(grey.astype(np.float32)), _cells(steps.astype(np.float32))
    coloured = (share > _DETAILED) & (colour > _COLOURED) & (means > _LIT)
    tissue = _with_neighbours(coloured & (hue < _YELLOW))
    hard = _cells((steps > _CONTRAST_OF_LETTERS).astype(np.float32)) > 0.02
    if before is None:
        changed = np.zeros(means.shape, bool)
    else:
        changed = (np.abs(means - before.grey) > _MOVED) | (np.abs(detail - before.detail) > _MOVED_DETAIL)
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
    change = half - before.half if before is not None else np.zeros_like(half)
    values = {
        "tissue": float(tissue.mean()),
        "stained": float(tissue.sum() / max(1, coloured.sum())) if coloured.any() else 1.0,
        "field": _around(tissue),
        "skin": _skin(picture, busy),
        "bright": _brightest(grey),
        "even": float((share < _EVEN).mean()),
        "drawn": float((hard & (colour < 2 * _COLOURED) & ~tissue).mean()),
        "moved": float(changed.mean()),
        "moved_tissue": float(changed[tissue].mean()) if tissue.any() else 0.0,
        "steady": _correlation(change, before.change) if before is not None else 0.0,
    }
    return _Measured(values, means, detail, half, change)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / size if size > _NOISE * first.size else 0.0


def _brightest(grey: np.ndarray) -> float:
    """Return the grey level that half a percent of the pixels exceed."""
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    return float(np.searchsorted(np.cumsum(counts), 0.995 * grey.size))


def _cells(values: np.ndarray) -> np.ndarray:
    """Return the mean of each cell of a sample."""
    rows, columns = values.shape[0] // CELL, values.shape[1] // CELL
    return cv2.resize(values[: rows * CELL, : columns * CELL], (columns, rows), interpolation=cv2.INTER_AREA)


def _with_neighbours(cells: np.ndarray) -> np.ndarray:
    """Leave cells out that have fewer than two neighbours, as single words or icons in colour have."""
    around = cv2.filter2D(cells.astype(np.float32), -1, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
    return cells & (around >= 3)


def _around(cells: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    height, width = cells.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def _skin(picture: np.ndarray, busy: np.ndarray) -> float:
    """Return the share of the largest area in a colour of skin that is mostly smooth."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    coloured = cv2.inRange(cv2.cvtColor(half, cv2.COLOR_RGB2YCrCb), _SKIN_LOW, _SKIN_HIGH)
    red, blue = half[..., 0].astype(np.int16), half[..., 2].astype(np.int16)
    coloured = cv2.bitwise_and(coloured, np.where(red > blue + 20, 255, 0).astype(np.uint8))
    coloured = cv2.morphologyEx(coloured, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(coloured)
    if count < 2:
        return 0.0
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    area = labels == largest
    small = cv2.resize(busy, (half.shape[1], half.shape[0]), interpolation=cv2.INTER_AREA)
    return float(area.mean()) if float(small[area].mean()) < 0.6 else 0.0


class _SampleStream(VideoStream):
    """Samples of a video as PySceneDetect reads them: rotated, deinterlaced and in ordinary colours.

    PySceneDetect counts samples, as if they were even; :attr:`Samples.seconds` holds their presentation times.
    """

    BACKEND_NAME = "videopath"

    def __init__(self, source: VideoSource, on_progress: Callable[[float], None]) -> None:
        self._source, self._on_progress = source, on_progress
        self._film = source.film(STEP)
        self._coming: tuple[float, np.ndarray] | None = None
        self._repeats = 0
        self._shown: np.ndarray = np.zeros(0, np.uint8)
        self._seconds: list[float] = []
        self._values: list[dict[str, Any]] = []
        self._glimpses: list[np.ndarray] = []
        self._before: _Measured | None = None
        self._size = shrink(np.zeros((source.height, source.width, 3), np.uint8)).shape[:2]

    def samples(self, cuts: tuple[int, ...]) -> Samples:
        numbers = {name: np.array([one[name] for one in self._values]) for name in self._values[0]}
        return Samples(np.array(self._seconds), glimpse=np.stack(self._glimpses), cuts=cuts, **numbers)

    def read(self, decode: bool = True) -> np.ndarray | bool:
        if self._coming is None:
            self._coming = next(self._film, None)
        until = self._coming[0] if self._coming else self._source.duration
        # between samples that are less than two steps apart there may be frames that were left out
        if self._seconds and until - self._seconds[-1] > 2.01 * STEP and self._repeats < _MOST_REPEATS:
            return self._again()
        if self._coming is None:
            return False
        (seconds, picture), self._coming = self._coming, None
        small = shrink(picture)
        if small.shape[:2] != self._size:  # the size may change within a file
            small = cv2.resize(small, self._size[::-1], interpolation=cv2.INTER_AREA)
        self._repeats = 0
        self._before = _measure(small, self._before)
        self._add(seconds, self._before.values, cv2.resize(small, GLIMPSE, interpolation=cv2.INTER_AREA))
        self._shown = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        return self._shown

    def _again(self) -> np.ndarray:
        """Repeat the last sample, one step later."""
        self._repeats += 1
        still = {**self._values[-1], "moved": 0.0, "moved_tissue": 0.0, "steady": 0.0}
        self._add(self._seconds[-1] + STEP, still, self._glimpses[-1])
        return self._shown

    def _add(self, seconds: float, values: dict[str, Any], glimpse: np.ndarray) -> None:
        self._seconds.append(seconds)
        self._values.append(values)
        self._glimpses.append(glimpse)
        self._on_progress(min(1.0, seconds / max(self._source.duration, 1e-6)))

    @property
    def path(self) -> str:
        return str(self._source.path)

    @property
    def name(self) -> str:
        return self._source.path.stem

    @property
    def is_seekable(self) -> bool:
        return False

    @property
    def frame_rate(self) -> Fraction:
        return Fraction(round(1 / STEP))

    @property
    def duration(self) -> FrameTimecode | None:
        return None

    @property
    def frame_size(self) -> tuple[int, int]:
        return self._size[1], self._size[0]

    @property
    def aspect_ratio(self) -> float:
        return 1.0

    @property
    def position(self) -> FrameTimecode:
        return FrameTimecode(max(0, len(self._seconds) - 1), self.frame_rate)

    @property
    def position_ms(self) -> float:
        return 1000 * max(0, len(self._seconds) - 1) * STEP

    @property
    def frame_number(self) -> int:
        return len(self._seconds)

    def reset(self) -> None:
        raise NotImplementedError

    def seek(self, target: Any) -> None:
        raise NotImplementedError
