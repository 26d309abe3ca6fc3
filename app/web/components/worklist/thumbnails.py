"""A small picture of a case: its first evidence frame, with writing filled, made once and kept in the case's folder."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from videopath.agent.cases.bundle import FRAMES_FOLDER
from videopath.core.files import write_bytes

NAME = "thumbnail.jpg"
_SIZE = (96, 64)  # pixels
_QUALITY = 80
_BUDGET = 0.2  # seconds for new pictures at one drawing of the page


class Thumbnails:
    """The pictures of one drawing of the page. New ones are made as long as the time allows."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _BUDGET
        self.missing = 0
        """Cases whose picture the next drawing makes."""

    def url(self, folder: Path) -> str | None:
        """Return a data URL; None if the case has no evidence frame, or none yet.

        Args:
            folder: The folder of the case.
        """
        kept = folder / NAME
        frame = min((folder / FRAMES_FOLDER).glob("*.png"), default=None)
        if frame is None:
            return None
        try:
            if kept.exists() and kept.stat().st_mtime >= frame.stat().st_mtime:
                return _url(kept.read_bytes())
            if time.monotonic() > self._until:
                self.missing += 1
                return None
            data = _small(frame)
            write_bytes(kept, data, private=True)
        except (OSError, UnidentifiedImageError):  # the case was deleted meanwhile, or its frame is damaged
            return None
        return _url(data)


def _small(frame: Path) -> bytes:
    with Image.open(frame) as image:
        small = image.convert("RGB")
        small.thumbnail(_SIZE, Image.Resampling.BOX)
    written = io.BytesIO()
    small.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()


def _url(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
