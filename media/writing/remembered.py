"""The lines and codes of the pictures that were read last, so that a page, a closer look or a second model reads none again.

Lines are kept in memory only, by a hash of the picture.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from videopath.core.memory import give_back_memory
from videopath.media.writing.codes import read_codes
from videopath.media.writing.reader import AT_ONCE, Line, read_lines

_KEPT = 4096  # pictures

_known: OrderedDict[bytes, list[Line]] = OrderedDict()
_lock = threading.Lock()


def read_frame(picture: np.ndarray) -> list[Line]:
    """Return the lines and codes of a picture, uint8 [H,W,3]."""
    pixels = np.ascontiguousarray(picture)
    key = hashlib.blake2b(pixels.data, digest_size=16, salt=f"{pixels.shape[1]}".encode()).digest()
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    lines = read_lines(picture) + [Line(box, "", is_code=True) for box in read_codes(picture)]
    with _lock:
        _known[key] = lines
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    return lines


def read_frames(pictures: Sequence[np.ndarray]) -> list[list[Line]]:
    """Return the lines and codes of each picture, uint8 [H,W,3]; several are read at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lines = list(pool.map(read_frame, pictures))
    give_back_memory()
    return lines
