"""Lines of writing in one picture, read by rapidocr with the models of its own wheel; nothing is downloaded.

The models are loaded at the first picture, once per process. What is read stays in memory: it is neither stored nor logged.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PixelBox = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are outside of the box."""

_THREADS = 2  # of one picture; VIDEOPATH_READER_THREADS changes it
_LEAST_CHARACTERS = 2  # letters and digits of a line
_LIKELY = 0.6  # score of the recognition
_MAX_HEIGHT, _CERTAIN = 0.3, 0.95

_engine: Any = None
_lock = threading.Lock()


@dataclass(frozen=True)
class Line:
    """One line of writing in one picture."""

    box: PixelBox
    text: str = field(repr=False)
    score: float
    """How sure the recognition is, in [0, 1]."""


def read_lines(picture: np.ndarray) -> list[Line]:
    """Read the lines of a picture.

    Args:
        picture: uint8 [H,W,3], RGB.

    Returns:
        The lines from top to bottom; their boxes lie inside the picture.
    """
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
        if _plausible(box, text, float(score), height):
            lines.append(Line(box, text, float(score)))
    return lines


def _plausible(box: PixelBox, text: str, score: float, height: int) -> bool:
    """Return whether a line is writing; a very tall one, which may be tissue, must be read very well."""
    tall = box[3] - box[1] > _MAX_HEIGHT * height
    return sum(map(str.isalnum, text)) >= _LEAST_CHARACTERS and score >= (_CERTAIN if tall else _LIKELY)


def _reader() -> Any:
    """Return the engine of this process; the caller holds the lock."""
    global _engine  # noqa: PLW0603
    if _engine is None:
        from rapidocr import RapidOCR

        threads = int(os.environ.get("VIDEOPATH_READER_THREADS", _THREADS))
        _engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.max_side_len": 8192,
                "EngineConfig.onnxruntime.intra_op_num_threads": min(threads, os.cpu_count() or 1),
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
    return _engine
