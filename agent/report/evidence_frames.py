"""Evidence frames of a case folder, to be drawn into a report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def evidence_frame(folder: Path | None, name: str | None) -> Image | None:
    """Return an evidence frame as RGB; None if it is missing, unreadable or outside the folder.

    Args:
        folder: The case folder.
        name: The frame's path relative to the folder.
    """
    from PIL import Image, UnidentifiedImageError

    if folder is None or name is None or not (folder / name).resolve().is_relative_to(folder.resolve()):
        return None
    try:
        with Image.open(folder / name) as opened:
            return opened.convert("RGB")
    except (OSError, UnidentifiedImageError):
        return None


def jpeg(picture: Image, quality: int = 90) -> io.BytesIO:
    """Return a picture as JPEG, read from its beginning."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return buffer
