"""Lines of writing in one picture, read by rapidocr with the models of its own wheel; nothing is downloaded.

The models are loaded at the first picture, once per process. What is read stays in memory: it is neither stored nor logged.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from videopath.media.writing.boxes import PixelBox, around, like_height, one_row

LEAST_SIDE = 736
"""Pixels; smaller pictures are enlarged to this shorter side."""

_THREADS = 2  # of one picture
_TILE, _OVERLAP = 1536, 192  # pixels of the parts in which larger pictures are read
_WORD_GAP = 1.5  # of a line's height, between two words of it
_LIKELY, _SURE = 0.6, 0.85  # score of the recognition of three characters and more, and of two
_TALL, _CERTAIN = 48, 0.8  # pixels of a line that must be read well: folds and glands look like large letters

_engine: Any = None
_lock = threading.Lock()


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
    height, width = picture.shape[:2]
    lines = []
    for top in _starts(height):
        for left in _starts(width):
            part = picture[top : top + _TILE, left : left + _TILE]
            lines += [_moved(line, left, top) for line in _read(part)]
    return _joined(lines)


def _starts(size: int) -> list[int]:
    """Return where the parts of a side begin; they overlap, so that a line is whole in one of them or is joined."""
    if size <= _TILE + _OVERLAP:
        return [0]
    count = math.ceil((size - _OVERLAP) / (_TILE - _OVERLAP))
    return np.linspace(0, size - _TILE, count).astype(int).tolist()


def _read(picture: np.ndarray) -> list[Line]:
    height, width = picture.shape[:2]
    with _lock:
        found = _reader()(np.ascontiguousarray(picture[..., ::-1]))
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
    least = _SURE if characters < 3 else _CERTAIN if thickness > _TALL else _LIKELY
    return characters >= 2 and score >= least


def _moved(line: Line, across: int, down: int) -> Line:
    left, top, right, bottom = line.box
    return Line((left + across, top + down, right + across, bottom + down), line.text, line.score)


def _joined(lines: list[Line]) -> list[Line]:
    """Join the words of one line, and what two overlapping parts both show."""
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


def _reader() -> Any:
    """Return the engine of this process; the caller holds the lock."""
    global _engine  # noqa: PLW0603
    if _engine is None:
        from rapidocr import RapidOCR

        _engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.text_score": 0.0,
                "Global.max_side_len": 2 * _TILE,
                "Det.limit_side_len": LEAST_SIDE,
                "Det.box_thresh": 0.3,
                "EngineConfig.onnxruntime.intra_op_num_threads": min(_THREADS, os.cpu_count() or 1),
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
    return _engine
