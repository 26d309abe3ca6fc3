"""Lines of writing in one picture, read by rapidocr with the models of its own wheel; nothing is downloaded.

The models are loaded at the first picture; each thread that reads at the same time has its own. One picture is read by
one thread, since several threads of onnxruntime wait for one another by spinning, which doubles the processor time.
What is read stays in memory: it is neither stored nor logged.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from videopath.media.writing.boxes import PixelBox, area, around, like_height, one_row, same_place
from videopath.media.writing.inks import ink_pictures
from videopath.media.writing.likely import likely_parts

AT_ONCE = min(4, os.cpu_count() or 1)
"""Pictures that are read at the same time in one process."""

_SIDE = 736  # pixels of the shorter side of a picture that is searched for small letters
_MAX_ENLARGED = 2.2  # times, of a small picture
_MAX_SIDE = 1000  # pixels; a larger picture is also searched at half the size, and again
_CLOSE, _FEW = 1.5, 0.1  # times that few parts of a larger picture are enlarged, and how much of it they are
_COARSE = 384  # pixels of the shorter side of a picture that is searched for large letters
_TILE, _OVERLAP = 1536, 192  # pixels of the parts in which larger ones are read
_WORD_GAP = 1.5  # of a line's height, between two words of it
_LIKELY, _SURE, _VERY_SURE = 0.6, 0.85, 0.95  # score of the recognition
_TALL, _WORD = 48, 6  # pixels of a line, and characters: folds and glands look like a few large letters
_LEAST_IN_INK = 4  # characters

_idle: list[Any] = []  # engines that no thread uses
_places = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Line:
    """One line of writing, or one code, in one picture."""

    box: PixelBox
    text: str = field(repr=False)
    score: float = 1.0
    """How sure the recognition is, in [0, 1]."""
    is_code: bool = False


def read_lines(picture: np.ndarray) -> list[Line]:
    """Read the lines of a picture.

    Args:
        picture: uint8 [H,W,3], RGB. A large one is read in parts at full size, so that small letters are not lost.

    Returns:
        The lines; their boxes lie inside the picture. Words of one line are one.
    """
    size = picture.shape[1::-1]
    lines, level = [], 1
    while min(picture.shape[:2]) > _MAX_SIDE:
        parts = likely_parts(picture)
        found = _read_parts(
            picture, parts, _CLOSE if sum(map(area, parts)) < _FEW * picture[..., 0].size else 1.0
        )
        lines += _enlarged(found + _read_inks(picture, 1.0, found), level)
        picture, level = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 2 * level
    height, width = picture.shape[:2]
    parts = likely_parts(picture)
    scale = min(max(1.0, _SIDE / min(height, width)), _MAX_ENLARGED)
    found = _read_parts(picture, parts, scale)
    if parts != [(0, 0, width, height)]:
        found += _read_parts(picture, [(0, 0, width, height)], min(1.0, _COARSE / min(height, width)))
    lines += _enlarged(found + _read_inks(picture, scale, found), level)
    return _inside(_joined(_distinct(lines)), size)


def _read_parts(picture: np.ndarray, parts: list[PixelBox], scale: float) -> list[Line]:
    """Read parts of a picture, enlarged or made smaller by a factor; the lines have the pixels of the picture."""
    lines = []
    for left, top, right, bottom in parts:
        part = picture[top:bottom, left:right]
        for down in _starts(bottom - top):
            for across in _starts(right - left):
                tile = part[down : down + _TILE, across : across + _TILE]
                lines += [
                    _placed(line, left + across, top + down, scale) for line in _read(_scaled(tile, scale))
                ]
    return lines


def _read_inks(picture: np.ndarray, scale: float, known: list[Line]) -> list[Line]:
    """Read other writing in inks that no stain has; it must be read well, since some stains come near them."""
    boxes = [line.box for line in _inside(known, picture.shape[1::-1])]
    return [
        line
        for ink, parts in ink_pictures(picture, boxes)
        for line in _read_parts(ink, parts, scale)
        if line.score >= _SURE and sum(map(str.isalnum, line.text)) >= _LEAST_IN_INK
    ]


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return picture
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=kind)


def _starts(size: int) -> list[int]:
    """Return where the parts of a side begin; they overlap, so that a line is whole in one of them or is joined."""
    if size <= _TILE + _OVERLAP:
        return [0]
    count = math.ceil((size - _OVERLAP) / (_TILE - _OVERLAP))
    return np.linspace(0, size - _TILE, count).astype(int).tolist()


def _read(picture: np.ndarray) -> list[Line]:
    height, width = picture.shape[:2]
    with _engine() as engine:
        found = engine(np.ascontiguousarray(picture[..., ::-1]))
    if found.boxes is None or found.txts is None:
        return []
    lines = []
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        left, top = np.floor(corners.min(axis=0)).astype(int).tolist()
        right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
        box = (max(left, 0), max(top, 0), min(right + 1, width), min(bottom + 1, height))
        thickness = min(cv2.norm(corners[0], corners[3]), cv2.norm(corners[0], corners[1]))
        if _plausible(thickness, text, float(score)):
            lines.append(Line(box, text, float(score)))
    return lines


def _plausible(thickness: float, text: str, score: float) -> bool:
    """Return whether a line is writing: at least two letters or digits, and the more certain, the less they are."""
    characters = sum(map(str.isalnum, text))
    if thickness > _TALL:
        return characters >= 2 and score >= (_VERY_SURE if characters < _WORD else _SURE)
    return characters >= 2 and score >= (_SURE if characters == 2 else _LIKELY)


def _placed(line: Line, across: int, down: int, scale: float) -> Line:
    """Return a line of a scaled part with its place in the whole picture."""
    left, top, right, bottom = line.box
    box = (
        across + math.floor(left / scale),
        down + math.floor(top / scale),
        across + math.ceil(right / scale),
        down + math.ceil(bottom / scale),
    )
    return replace(line, box=box)


def _enlarged(lines: list[Line], level: int) -> list[Line]:
    return [_placed(line, 0, 0, 1 / level) for line in lines]


def _inside(lines: list[Line], size: tuple[int, ...]) -> list[Line]:
    """Cut boxes to a picture of this width and height."""
    return [
        replace(
            one,
            box=(max(one.box[0], 0), max(one.box[1], 0), min(one.box[2], size[0]), min(one.box[3], size[1])),
        )
        for one in lines
    ]


def _distinct(lines: list[Line]) -> list[Line]:
    """Join what was read at two sizes or in two parts; the longer text counts."""
    distinct: list[Line] = []
    for line in sorted(lines, key=lambda line: -len(line.text)):
        twin = next((n for n, other in enumerate(distinct) if same_place(line.box, other.box)), None)
        if twin is None:
            distinct.append(line)
        else:
            distinct[twin] = replace(distinct[twin], box=around([distinct[twin].box, line.box]))
    return distinct


def _joined(lines: list[Line]) -> list[Line]:
    """Join the words of one line."""
    waiting, joined = sorted(lines, key=lambda line: line.box[:2]), []
    while waiting:
        whole = waiting.pop(0)
        for other in list(waiting):
            if like_height(whole.box, other.box) and one_row(whole.box, other.box, _WORD_GAP):
                waiting.remove(other)
                text = f"{whole.text} {other.text}"
                whole = Line(around([whole.box, other.box]), text, max(whole.score, other.score))
        joined.append(whole)
    return joined


@contextmanager
def _engine() -> Iterator[Any]:
    """Lend an engine to this thread; it waits while :data:`AT_ONCE` others read."""
    with _places:
        try:
            engine = _idle.pop()
        except IndexError:
            engine = _loaded()
        try:
            yield engine
        finally:
            _idle.append(engine)


def _loaded() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": 0.0,
            "Global.max_side_len": 4 * _TILE,
            "Det.limit_type": "max",
            "Det.limit_side_len": 4 * _TILE,
            "Det.box_thresh": 0.3,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
