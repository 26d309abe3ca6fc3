"""What a shot shows: a slide, a title card, a talking head, a desktop or nothing.

Most shots are known from what was measured in their samples. A few frames of the others are looked at: the gate's rule
tells tissue from photographs, and the reader finds the large letters of a title card that has tissue behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from videopath.core.choices import ScreenKind
from videopath.core.privacy.personal import screened_text
from videopath.dataset.segments.samples import Samples
from videopath.dataset.segments.shots import DARK, Shot
from videopath.media.quality.appearance import (
    INTERCEPT,
    contributions,
    measure,
    shrink,
    without_frame,
)
from videopath.media.writing.reader import Line, read_lines

READ_SIDE = 800
"""Long side in pixels at which a shot is read."""

_BRIEF = 5  # samples
_NO_TISSUE = 0.02
_MUCH_TISSUE = 0.2
_SMALL_FIELD = 0.3  # share of the frame; a smaller picture on a still screen is part of a card or a desktop
_STILL = 0.06  # share of the tissue that changes in a sample
_SKIN = 0.03
_LEAST_AROUND = 0.12  # share of the frame around the field
_ALIKE, _MOSTLY = 5, 0.93  # grey levels, and the share of the surroundings that differ by less
_GLASS, _TINT = 205, 12  # grey level of empty glass, and its colour
_FACE = 0.06
_CERTAIN = 0.85  # share of coloured cells that are stained
_DIM = 112  # grey level
_RATHER_LARGE, _RATHER_MUCH = 0.08, 0.03
_EDGE = 0.15  # share of the height at the upper and lower edge, where labels lie
_EMPTY = 0.95  # share of cells in which nothing is drawn
_LETTERS, _SOME_WRITING = 0.05, 0.02  # of a title card without tissue
_VERY_MANY_LINES = 14
_LARGE_LETTERS = 0.11  # height of a line as a share of the frame's
_MUCH_WRITING = 0.045  # share of the frame
_MANY_LINES = 9
_WINDOWS = 0.14  # share of cells with hard contrasts; without reading


@dataclass
class ShotLook:
    """One shot while it is judged; frames are read only if they are needed."""

    samples: Samples
    shot: Shot
    frame_at: Callable[[float], np.ndarray]
    """Returns the frame that is shown at a time, uint8 [H,W,3]."""

    @property
    def inner(self) -> slice:
        """The samples without those in which one picture may still change into the other."""
        first, last = self.shot.first, self.shot.last
        margin = min(4, (last - first - 1) // 3)
        return slice(first + margin, last - margin)

    def middle(self, name: str, percent: float = 50) -> float:
        """Return a percentile of a measurement over the shot."""
        return float(np.percentile(getattr(self.samples, name)[self.inner], percent))

    @property
    def brief(self) -> bool:
        """Whether it is too short to be judged alone; nothing is read then."""
        return self.shot.last - self.shot.first < _BRIEF

    @cached_property
    def field(self) -> tuple[float, float, float, float]:
        """The rectangle around the tissue, in most samples of the shot: left, top, right, bottom as shares."""
        left, top, right, bottom = np.median(self.samples.field[self.inner], axis=0).tolist()
        return left, top, right, bottom

    @property
    def field_share(self) -> float:
        """Share of the frame that this rectangle covers."""
        left, top, right, bottom = self.field
        return (right - left) * (bottom - top)

    @cached_property
    def frame(self) -> np.ndarray:
        """A frame near the end, where all lines of a card are shown."""
        seconds = self.samples.seconds[self.inner]
        return self.frame_at(float(seconds[int(0.8 * (len(seconds) - 1))]))

    @cached_property
    def lines(self) -> list[Line]:
        """The lines of writing in this frame."""
        return read_lines(smaller(self.frame))

    @property
    def writing(self) -> float:
        """Share of the frame that lines of writing cover."""
        height, width = smaller(self.frame).shape[:2]
        boxes = [line.box for line in self.lines]
        return sum((box[2] - box[0]) * (box[3] - box[1]) for box in boxes) / (height * width)

    @property
    def words(self) -> str | None:
        """The words that were read, a person's data masked; None if it was not read."""
        return words_of(self.lines) if "lines" in self.__dict__ else None

    @property
    def tallest(self) -> float:
        """Height of the tallest line as a share of the frame's shorter side."""
        shorter = min(smaller(self.frame).shape[:2])
        return max((line.box[3] - line.box[1] for line in self.lines), default=0) / shorter

    @property
    def titled(self) -> bool:
        """Whether it has the writing of a title card, larger than a label on a slide."""
        large = self.tallest >= _LARGE_LETTERS or self.writing >= _MUCH_WRITING
        height = len(smaller(self.frame))
        central = any(_EDGE < (line.box[1] + line.box[3]) / 2 / height < 1 - _EDGE for line in self.lines)
        rather = central and self.tallest >= _RATHER_LARGE and self.writing >= _RATHER_MUCH
        return large or rather or (self.dim and bool(self.lines))

    @property
    def dim(self) -> bool:
        """Whether even its bright parts are darker than a slide, as a picture behind a title is."""
        grey = self.samples.glimpse[self.inner].astype(np.float32).mean(axis=-1)
        return float(np.percentile(grey, 90)) < _DIM

    @property
    def glass(self) -> bool:
        """Whether most of it is as bright and colourless as empty glass."""
        ground = np.median(self.samples.glimpse[self.inner], axis=(0, 1, 2))
        return bool(ground.min() >= _GLASS and np.ptp(ground) <= _TINT)

    @cached_property
    def tissue(self) -> bool:
        """Whether the gate's rule takes most of three frames for tissue."""
        seconds = self.samples.seconds[self.inner]
        moments = sorted({float(seconds[round(share * (len(seconds) - 1))]) for share in (0.2, 0.5, 0.8)})
        crop = self.field if self.field_share >= _SMALL_FIELD else (0.0, 0.0, 1.0, 1.0)
        accepted = sum(is_tissue(cropped(self.frame_at(moment), crop)) for moment in moments)
        return 2 * accepted > len(moments)


def words_of(lines: Sequence[Line]) -> str:
    """Return lines as one text, a person's data masked."""
    screened = (screened_text(line.text).text.strip() for line in lines)
    return screened_text(" / ".join(filter(None, screened))).text


def smaller(frame: np.ndarray) -> np.ndarray:
    """Scale a frame down for the reader."""
    height, width = frame.shape[:2]
    scale = READ_SIDE / max(height, width)
    if scale >= 1:
        return frame
    return cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def cropped(frame: np.ndarray, crop: tuple[float, float, float, float]) -> np.ndarray:
    """Return a part of a frame that is given in shares."""
    height, width = frame.shape[:2]
    left, top, right, bottom = crop
    return frame[int(top * height) : round(bottom * height), int(left * width) : round(right * width)]


def is_tissue(frame: np.ndarray) -> bool:
    """Return whether the gate's rule takes a frame, or its part without viewer and bars, for tissue."""
    picture = without_frame(shrink(frame))
    return INTERCEPT + sum(contributions(measure(picture)).values()) > 0


def kind_of(look: ShotLook) -> ScreenKind | None:
    """Return what a shot shows; None for a screen with nothing on it, which may be empty glass."""
    if look.middle("bright") < DARK:
        return "black"
    if look.brief:
        return "slide" if look.middle("tissue") >= _NO_TISSUE else None
    tissue, moving = look.middle("tissue", 75), look.middle("moved_tissue") > _STILL
    if tissue >= _MUCH_TISSUE and moving:
        return "slide"
    if tissue >= _NO_TISSUE and (moving or look.field_share >= _SMALL_FIELD) and not look.titled:
        large = tissue >= _MUCH_TISSUE or look.field_share >= _SMALL_FIELD
        certain = tissue >= _MUCH_TISSUE and look.middle("stained") >= _CERTAIN
        if large and (moving or certain or look.tissue):
            return "slide"
    return _without_tissue(look)


def _without_tissue(look: ShotLook) -> ScreenKind | None:
    windows = look.middle("drawn") >= _WINDOWS
    if len(look.lines) >= (_MANY_LINES if windows else _VERY_MANY_LINES):
        return "desktop"
    lively = look.middle("moved") > 0 and not windows
    if lively and look.middle("skin") >= _FACE and look.writing < _MUCH_WRITING:
        return "talking head"
    if look.tallest >= _LETTERS or look.writing >= _SOME_WRITING:
        return "title card"
    if look.middle("even") < _EMPTY and (look.glass or look.tissue):
        return "slide"  # another stain, or hardly any
    if lively and look.middle("skin") >= _SKIN:
        return "talking head"
    return None


def kinds_of(looks: Sequence[ShotLook]) -> list[ScreenKind]:
    """Return what each shot shows; shots that are unclear alone are judged by their neighbours."""
    kinds = [kind_of(look) for look in looks]
    numbers = range(len(looks))
    for number, other in (
        *zip(numbers[1:], numbers, strict=False),
        *zip(numbers[-2::-1], numbers[:0:-1], strict=True),
    ):
        look, kind = looks[number], kinds[number]
        if kind not in ("title card", None) or kinds[other] != "slide":
            continue
        weak = looks[max(number, other)].shot.weak
        if look.brief or same_viewer(looks[other], look) or (not look.titled and (weak or kind is None)):
            kinds[number] = "slide"
    return ["title card" if kind is None else kind for kind in kinds]


def same_viewer(slide: ShotLook, look: ShotLook) -> bool:
    """Return whether a shot has the same screen around the field as a slide view: it then shows empty glass or fat."""
    rows, columns = slide.samples.glimpse.shape[1:3]
    left, top, right, bottom = slide.field
    around = np.ones((rows, columns), bool)
    around[int(top * rows) : math.ceil(bottom * rows), int(left * columns) : math.ceil(right * columns)] = (
        False
    )
    if around.mean() < _LEAST_AROUND:
        return False
    one, other = (np.median(shot.samples.glimpse[shot.inner], axis=0) for shot in (slide, look))
    return float((np.abs(one - other).max(axis=-1)[around] < _ALIKE).mean()) >= _MOSTLY
