"""A whole video with its writing filled, for players and for the clips of a data set.

The video is read twice: first it is searched every ``step`` seconds, and where the picture changes all at once; then all
frames are yielded. What either of two neighbouring searches shows is filled in all frames between them, so that no frame
in between shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from videopath.core.choices import WritingRule
from videopath.core.memory import give_back_memory
from videopath.media.crop import Crop
from videopath.media.masks import Masks
from videopath.media.writing.boxes import PixelBox, around
from videopath.media.writing.judging import judge
from videopath.media.writing.mask import Filler
from videopath.media.writing.reader import AT_ONCE, Line
from videopath.media.writing.records import BurnedIn
from videopath.media.writing.remembered import read_frame
from videopath.media.writing.search import burned_in, changed_by, filled_tracks, with_margin
from videopath.media.writing.tracks import Track, bridge, linked, missed

_SMALL = (160, 90)  # pixels of the pictures that are compared
_CUT = 10.0  # grey levels by which a small picture changes at a cut, on average, and at least
_SUDDEN = 3.0  # times the median of the changes before it; a stage or a zoom changes the picture all the time
_REMEMBERED = 9  # changes
_SAME = 3.0  # grey levels; no pixel of the small picture changes more while nothing changes
_POPPED = 12.0  # grey levels by which a pixel changes where writing appears on a still picture
_POPPED_WIDTH = 6  # pixels of the small picture in one row; a cursor is narrower


class FilmSource(Protocol):
    """A video that yields all of its frames; ``videopath.media.video.source.VideoSource`` is one."""

    @property
    def duration(self) -> float:
        """Seconds."""

    def film(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield the time in seconds and the picture, uint8 [H,W,3], of each frame in order."""


class MaskedFilm:
    """All frames of a video in order, with the time of each, and with writing filled; it can be iterated again.

    Attributes:
        erased: What was found and filled, with the times of the searched frames.
    """

    def __init__(
        self, source: FilmSource, rule: WritingRule, crop: Crop | None, searched: _Searched, erased: BurnedIn
    ) -> None:
        self.erased = erased
        self._source, self._crop = source, crop
        self._keys = searched.numbers
        self._tracks = filled_tracks(searched.tracks, rule)

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        filler = Filler()
        for number, (seconds, frame) in enumerate(self._source.film()):
            boxes = self._boxes(number) if self._tracks else []
            filled = filler.fill(frame, boxes) if boxes else frame
            yield seconds, _cut_out(filled, self._crop)

    def _boxes(self, number: int) -> list[PixelBox]:
        """Return what the searches before and after a frame show."""
        after = int(np.searchsorted(self._keys, number))
        near = {after} if self._keys[min(after, len(self._keys) - 1)] == number else {after - 1, after}
        boxes = [[track.boxes[key] for key in sorted(near) if key in track.boxes] for track in self._tracks]
        return [around(own) for own in boxes if own]


def masked_film(
    source: FilmSource,
    rule: WritingRule,
    crop: Crop | None = None,
    on_progress: Callable[[float], None] | None = None,
    step: float = 0.5,
    masks: Masks | None = None,
) -> MaskedFilm:
    """Search a video for writing, and return its frames with the writing filled.

    Args:
        source: The video; it is read from its start twice.
        rule: Which writing is filled; with ``keep`` and without masks nothing is searched.
        crop: The part of each frame that is returned; writing is searched in the whole frame.
        on_progress: Called with the share of the video that was searched, in [0, 1].
        step: Seconds between two searched frames.
        masks: A person's changes to what is filled, as shares of the frame.

    Returns:
        An iterable of (seconds, uint8 [H,W,3]), with ``erased``.

    Raises:
        InputError: The video is damaged.
    """
    searched = _Searched()
    if rule != "keep" or masks:
        searched = _search(source, step, on_progress or (lambda share: None))
        size = searched.size[1], searched.size[0]
        searched.tracks = changed_by(masks, searched.tracks, range(len(searched.numbers)), size)
    shape = (len(searched.numbers), *searched.size, 3)
    erased = burned_in(searched.tracks, shape, np.array(searched.seconds), rule, False)
    return MaskedFilm(source, rule, crop, searched, erased)


class _Searched:
    """The searched frames of a film, and what they show; they are read in other threads while the film goes on."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.seconds: list[float] = []
        self.tracks: list[Track] = []
        self.size = (1, 1)
        self._lines: list[list[Line]] = []
        self._unread: deque[_Reading] = deque()
        self._before: _Reading | None = None
        self._small: np.ndarray | None = None

    def add(self, number: int, seconds: float, frame: np.ndarray, small: np.ndarray, pool: Executor) -> None:
        """Search a frame, or repeat what the last one shows if nothing has changed."""
        if self.numbers and self.numbers[-1] == number:
            return
        same = self._small is not None and cv2.absdiff(small, self._small).max() < _SAME
        self._unread.append(_Reading(frame, None if same else pool.submit(read_frame, frame)))
        self._small = small
        self.numbers.append(number)
        self.seconds.append(seconds)
        self.size = frame.shape[:2]
        while len(self._unread) > AT_ONCE:  # no more frames than these are kept
            self._take(self._unread.popleft())

    def _take(self, reading: _Reading) -> None:
        """Add the lines of the next frame, and what it or the frame before it shows where only the other was read."""
        before, self._before = self._before, reading
        lines = self._lines[-1] if reading.lines is None else reading.lines.result()
        if before is not None and reading.lines is not None and before.frame.shape == reading.frame.shape:
            last = self._lines[-1]
            lines = lines + missed(last, lines, before.frame, reading.frame)
            self._lines[-1] = last + missed(lines, last, reading.frame, before.frame)
        self._lines.append(lines)

    def finish(self) -> None:
        """Read the last frames, and follow the writing through all of them."""
        while self._unread:
            self._take(self._unread.popleft())
        self._before = None
        self.tracks = linked(self._lines)
        judge(self.tracks)
        for track in self.tracks:
            bridge(track)
            if track.kind != "code":  # its box has a margin already
                size = self.size[1], self.size[0]
                track.boxes = {n: with_margin(box, size) for n, box in track.boxes.items()}


@dataclass(frozen=True)
class _Reading:
    """A frame whose lines are read, or None if it shows what the last one shows."""

    frame: np.ndarray
    lines: Future[list[Line]] | None


def _search(source: FilmSource, step: float, on_progress: Callable[[float], None]) -> _Searched:
    searched, due = _Searched(), 0.0
    last: tuple[int, float, np.ndarray, np.ndarray] | None = None
    changes: deque[float] = deque(maxlen=_REMEMBERED)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, (seconds, frame) in enumerate(source.film()):
            small = _small(frame)
            changed = last is not None and _changed(last[3], small, changes)
            if changed and last is not None:
                searched.add(*last, pool)
            if changed or seconds >= due or last is None:
                searched.add(number, seconds, frame, small, pool)
                due = seconds + step
                on_progress(min(1.0, seconds / source.duration) if source.duration else 1.0)
            last = number, seconds, frame, small
        if last is not None:
            searched.add(*last, pool)
        searched.finish()
    give_back_memory()
    on_progress(1.0)
    return searched


def _small(frame: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)


def _changed(before: np.ndarray, now: np.ndarray, changes: deque[float]) -> bool:
    """Return whether the picture changes all at once: at a cut, or where writing appears on a still picture.

    Args:
        before: The small picture of the last frame.
        now: That of this frame.
        changes: Mean changes of the frames before; this one is added.
    """
    difference = cv2.absdiff(before, now)
    usual = float(np.median(changes)) if changes else 0.0
    changes.append(float(difference.mean()))
    if changes[-1] > max(_CUT, _SUDDEN * usual):
        return True
    if np.median(difference) >= 1:
        return False
    row = np.ones((1, _POPPED_WIDTH), np.uint8)
    return bool(cv2.morphologyEx((difference > _POPPED).astype(np.uint8), cv2.MORPH_OPEN, row).any())


def _cut_out(frame: np.ndarray, crop: Crop | None) -> np.ndarray:
    if crop is None:
        return frame
    height, width = frame.shape[:2]
    rows = slice(round(crop[1] * height), max(round(crop[3] * height), round(crop[1] * height) + 1))
    columns = slice(round(crop[0] * width), max(round(crop[2] * width), round(crop[0] * width) + 1))
    return np.ascontiguousarray(frame[rows, columns])
