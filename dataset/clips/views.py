"""The frames of a case that become its clips: one for each step of time, with the field and a little around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from videopath.core.errors import InputError
from videopath.dataset.clips.cursor import Template, cursor_boxes, without_cursor
from videopath.dataset.clips.field_box import FieldBox
from videopath.media.crop import Crop
from videopath.media.image.samples import fitted
from videopath.media.video.source import VideoSource
from videopath.media.writing.mask import Filler
from videopath.media.writing.reader import PixelBox
from videopath.media.writing.tracks import around

LONGEST_SIDE = 1920
"""Pixels of the longer side of a clip; a larger field is scaled down."""
_LEAST_SIDE = 32  # pixels of a field
_AROUND = 32  # pixels around the field in which writing is searched, so that no letter is cut at its edge
_BATCH = 32  # frames that are read at once
_CACHED_BYTES = 600 << 20  # frames that are kept in memory; those of a longer case are read twice
_EARLY = 1e-4  # seconds by which a frame may begin after its step


@dataclass(frozen=True)
class Moment:
    """One frame of a clip."""

    index: int
    """Frame number in the recording."""
    seconds: float
    """Seconds of the recording at which it stands in the clip; the frame itself may have begun earlier."""


def moments(source: VideoSource, spans: Sequence[tuple[float, float]], fps: float) -> list[Moment]:
    """Choose the frame on the screen at each step of ``1 / fps`` seconds.

    Args:
        source: The recording.
        spans: Start and end of the parts that are shown, in seconds; what lies between them is left out.
        fps: Frames per second.
    """
    chosen = []
    for start, end in spans:
        last = min(end, float(source.duration))
        first = int(np.searchsorted(source.seconds, start - _EARLY))
        for step in range(max(1, int(np.ceil((last - start) * fps - 1e-6)))):
            seconds = start + step / fps
            index = int(np.searchsorted(source.seconds, seconds + _EARLY, side="right")) - 1
            chosen.append(Moment(min(max(index, first, 0), len(source.seconds) - 1), round(seconds, 4)))
    return chosen


@dataclass(frozen=True)
class Geometry:
    """Where the field lies in the recording, in the region that is read, and in the clip; all in pixels."""

    frame: tuple[int, int]
    """Width and height of the recording."""
    region: PixelBox
    """What is read, in pixels of the recording."""
    region_size: tuple[int, int]
    """Width and height of the region after it was scaled."""
    inner: PixelBox
    """The field within the scaled region; its sides are even."""

    @classmethod
    def of(cls, source: VideoSource, field: Crop, whole: bool) -> Geometry:
        """Return the geometry of a field.

        Args:
            source: The recording.
            field: The field.
            whole: Whether the whole frame is read: what is a person's data is judged by what stands around it.

        Raises:
            InputError: The recording is too small.
        """
        width, height = source.width, source.height
        if min(width, height) < _LEAST_SIDE:
            raise InputError(
                f"It is {width}×{height} pixels; at least {_LEAST_SIDE}×{_LEAST_SIDE} are needed."
            )
        left, right = _at_least(round(field[0] * width), round(field[2] * width), width)
        top, bottom = _at_least(round(field[1] * height), round(field[3] * height), height)
        margin = max(width, height) if whole else _AROUND
        region = (
            max(0, left - margin),
            max(0, top - margin),
            min(width, right + margin),
            min(height, bottom + margin),
        )
        scale = min(1.0, LONGEST_SIDE / max(right - left, bottom - top))
        size = round((region[2] - region[0]) * scale), round((region[3] - region[1]) * scale)
        x, y = round((left - region[0]) * scale), round((top - region[1]) * scale)
        w, h = _even((right - left) * scale), _even((bottom - top) * scale)
        w, h = min(w, (size[0] - x) // 2 * 2), min(h, (size[1] - y) // 2 * 2)
        return cls((width, height), region, size, (x, y, x + w, y + h))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the clip."""
        return self.inner[2] - self.inner[0], self.inner[3] - self.inner[1]

    @property
    def crop(self) -> Crop:
        """The field as it is in the clip, as shares of the recording's frame."""
        width, height = self.region_size
        left, top, right, bottom = self.inner
        return self.to_recording((left / width, top / height, right / width, bottom / height))

    def to_recording(self, box: Crop) -> Crop:
        """Return a box that is given as shares of the region, as shares of the recording's frame."""
        left, top, right, bottom = self.region
        wide, high = right - left, bottom - top
        x0, y0, x1, y1 = box
        width, height = self.frame
        return (
            round((left + x0 * wide) / width, 5),
            round((top + y0 * high) / height, 5),
            round((left + x1 * wide) / width, 5),
            round((top + y1 * high) / height, 5),
        )

    def in_clip(self, box: Crop) -> PixelBox:
        """Return a box that is given as shares of the recording's frame, in pixels of the clip; it may lie outside."""
        scale = self.region_size[0] / (self.region[2] - self.region[0])
        return tuple(  # type: ignore[return-value]
            round((share * side - origin) * scale) - inner
            for share, side, origin, inner in zip(
                box, self.frame * 2, self.region[:2] * 2, self.inner[:2] * 2, strict=True
            )
        )

    def read(self, frame: np.ndarray) -> np.ndarray:
        """Cut the region out of a frame, uint8 [H,W,3], and scale it."""
        left, top, right, bottom = self.region
        part = fitted(frame, *self.frame)[top:bottom, left:right]
        if part.shape[1::-1] != self.region_size:
            return cv2.resize(part, self.region_size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(part)

    def cut(self, region: np.ndarray) -> np.ndarray:
        """Return the field within a region, as a view."""
        left, top, right, bottom = self.inner
        return region[top:bottom, left:right]


class CaseView:
    """The chosen frames of a case as a film, before writing is filled; ``masked_film`` reads it.

    Args:
        source: The recording.
        chosen: Which frames.
        geometry: Which part of them.
        field: The field with its thumbnails, which are filled.
        cursors: The cursors that are filled.

    Attributes:
        cursor_boxes: Where cursors were filled, by second of the recording: shares of the region.
    """

    def __init__(
        self,
        source: VideoSource,
        chosen: Sequence[Moment],
        geometry: Geometry,
        field: FieldBox,
        cursors: Sequence[Template] = (),
    ) -> None:
        self.cursor_boxes: dict[float, Crop] = {}
        self._source, self._chosen, self._geometry, self._cursors = source, chosen, geometry, cursors
        self._thumbnails = [
            box for crop in field.thumbnails if (box := _within(geometry.in_clip(crop), geometry.size))
        ]
        size = geometry.region_size[0] * geometry.region_size[1] * 3 * len(chosen)
        self._cache: list[np.ndarray] | None = [] if size <= _CACHED_BYTES else None

    @property
    def duration(self) -> float:
        """The last second, as ``masked_film`` counts progress."""
        return self._chosen[-1].seconds

    def film(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield the seconds of the recording and the region of each chosen frame, uint8 [h,w,3]."""
        for moment, region in zip(self._chosen, self._regions(), strict=True):
            yield moment.seconds, region

    def _regions(self) -> Iterator[np.ndarray]:
        if self._cache:
            yield from self._cache
            return
        filler = Filler()
        for start in range(0, len(self._chosen), _BATCH):
            batch = self._chosen[start : start + _BATCH]
            distinct, positions = np.unique([moment.index for moment in batch], return_inverse=True)
            regions, _ = self._source.read(distinct.tolist(), self._geometry.read)
            for moment, position in zip(batch, positions, strict=True):
                region = self._without_cursor(regions[position], moment.seconds)
                region = self._without_thumbnails(region, filler)
                if self._cache is not None:
                    self._cache.append(region)
                yield region

    def _without_cursor(self, region: np.ndarray, seconds: float) -> np.ndarray:
        inner = self._geometry.cut(region)
        seen = cursor_boxes(inner, self._cursors)
        if not seen:
            return region
        region = region.copy()
        self._geometry.cut(region)[:] = without_cursor(inner, seen)
        left, top, right, bottom = around([box for box, _ in seen])
        x, y = self._geometry.inner[:2]
        width, height = self._geometry.region_size
        self.cursor_boxes[seconds] = (
            (x + left) / width,
            (y + top) / height,
            (x + right) / width,
            (y + bottom) / height,
        )
        return region

    def _without_thumbnails(self, region: np.ndarray, filler: Filler) -> np.ndarray:
        if not self._thumbnails:
            return region
        region = region.copy()
        inner = self._geometry.cut(region)
        inner[:] = filler.fill(inner, self._thumbnails)
        return region


def _at_least(low: int, high: int, size: int) -> tuple[int, int]:
    """Widen a range to _LEAST_SIDE pixels within ``size``."""
    missing = max(0, _LEAST_SIDE - (high - low))
    low = min(max(0, low - missing // 2), size - min(size, high - low + missing))
    return low, min(size, max(high, low + _LEAST_SIDE))


def _even(value: float) -> int:
    return max(2, int(value + 0.5) // 2 * 2)


def _within(box: PixelBox, size: tuple[int, int]) -> PixelBox | None:
    """Return the part of a box inside a picture of this size; None if nothing of it is inside."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
    return (left, top, right, bottom) if left < right and top < bottom else None
