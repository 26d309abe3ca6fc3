"""Sources of frames: the protocol, picture files, and folders of frames. Videos: see ``videopath.media.video``."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from videopath.core.choices import SourceKind
from videopath.core.errors import InputError
from videopath.core.files import sha256_file
from videopath.media.foreign import PICTURE_LIKE, contents, read_head, refuse_foreign
from videopath.media.image.files import ALLOWED, PicturesFile, read_picture, single_picture
from videopath.media.image.samples import fitted

Reader = Literal["decord", "pyav", "pillow"]
Keep = Callable[[np.ndarray], np.ndarray]
"""Reduces a decoded frame, uint8 [H,W,3] → [h,w,3]; the full frame is freed at once."""

IMAGE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".hif",
    ".avif",
}  # fmt: skip
_FRAME_SUFFIXES = IMAGE_SUFFIXES | {".gif"}
"""In a folder, a GIF of one picture is a frame as well."""

_SCANNED = 8  # frames of a folder that give the depth of all

__all__ = ["ALLOWED", "FolderSource", "FrameSource", "ImageSource", "file_hash", "fitted", "read_picture"]


class FrameSource(Protocol):
    """A source from which frames can be read."""

    path: Path
    kind: SourceKind
    seconds: np.ndarray
    """float64 [N], presentation times of all frames of the source in seconds, rising."""
    fps: float
    duration: float
    width: int
    height: int
    notes: tuple[str, ...]
    """Sentences about anything unusual in how the source was read."""

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        """Decode frames and reduce each with ``keep``; ``indices`` are distinct and rising."""

    def sha256(self) -> str:
        """Return the hash of the source's bytes, as hexadecimal text."""


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    return sha256_file(path)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file; it is computed again only if the size or the time of change differs."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


class ImageSource:
    """A picture file: one frame at 0 s, or a video if it holds several pictures (animation, pages)."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pictures = PicturesFile(path)
        count = self._pictures.count
        self.kind: SourceKind = "image" if count == 1 else "video"
        self.seconds, self.duration = self._pictures.seconds, self._pictures.duration
        self.fps = count / self.duration if self.duration > 0 else 0.0
        self._first = next(self._pictures.frames([0])) if count == 1 else None
        self.width, self.height = self._size()

    def _size(self) -> tuple[int, int]:
        """Return width and height of the first picture as it is decoded; headers are not trusted."""
        first = self._first if self._first is not None else next(self._pictures.frames([0]))
        return first.shape[1], first.shape[0]

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        if self._first is not None:
            return [keep(self._first) for _ in indices], "pillow"
        frames = self._pictures.frames(indices)
        return [keep(fitted(frame, self.width, self.height)) for frame in frames], "pillow"

    def sha256(self) -> str:
        return file_hash(self.path)


class FolderSource:
    """A folder of frames, one per second, in natural order of their names ("2.png" before "10.png").

    If frames differ in size, each is shown whole, in its own proportions, on a canvas that is large enough for all.
    """

    kind: SourceKind = "folder"
    fps = 1.0
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(_frame_files(path), key=lambda p: _natural(p.name))
        if not self._files:
            other_files = contents(path)
            allowed = "jpg, png, tif, webp, bmp, heic or avif images"
            raise InputError(
                f"The folder {path} holds no frames ({allowed}){': ' + other_files if other_files else ''}."
            )
        self.seconds = np.arange(len(self._files), dtype=np.float64)
        self.duration = float(len(self._files))
        sizes = [(one.width, one.height) for one in map(single_picture, self._files)]
        self.width, self.height = max(width for width, _ in sizes), max(height for _, height in sizes)

    @functools.cached_property
    def _depth(self) -> int:
        """Bits of samples with more than 8 bits, found on a few frames, so that all frames get the same brightness."""
        count = len(self._files)
        chosen = np.unique(np.linspace(0, count - 1, min(count, _SCANNED), dtype=int))
        return max(single_picture(self._files[index]).depth for index in chosen)

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        frames = (next(single_picture(self._files[i]).frames([0], self._depth)) for i in indices)
        return [keep(fitted(frame, self.width, self.height)) for frame in frames], "pillow"

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(os.fsencode(file.name) + f"\0{file_hash(file)}\n".encode())
        return digest.hexdigest()


def _frame_files(folder: Path) -> list[Path]:
    """Return the frames of a folder. Raises ``InputError`` if a picture among them cannot be read."""
    visible = [path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir()]
    frames = [path for path in visible if path.suffix.lower() in _FRAME_SUFFIXES]
    for path in frames:
        if not path.is_file():  # opening a pipe would block
            raise InputError(
                f"{path.name} in the folder {folder} is not a regular file (a pipe, a device or a broken link): remove it."
            )
    for path in visible:
        if frames and path.suffix.lower() in PICTURE_LIKE and path.is_file():
            refuse_foreign(path, read_head(path))
    return frames


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]
