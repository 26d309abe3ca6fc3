"""Sources of frames: picture files and folders of frames here, videos in ``readers``."""

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
"""What is kept of a decoded frame, uint8 [H,W,3] → [h,w,3]: the full frame is let go at once."""

IMAGE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".hif",
    ".avif",
}  # fmt: skip
_FRAME_SUFFIXES = IMAGE_SUFFIXES | {".gif"}
"""In a folder: a GIF of one picture is a frame like any other."""

_SCANNED = 8

__all__ = ["ALLOWED", "FolderSource", "ImageSource", "Source", "file_hash", "fitted", "read_picture"]


class Source(Protocol):
    """Something that frames can be read from."""

    path: Path
    kind: SourceKind
    seconds: np.ndarray
    """float64 [N], presentation time of every frame of the source, rising."""
    fps: float
    duration: float
    width: int
    height: int
    notes: tuple[str, ...]
    """Sentences on how it was read, if that was not in the plainest way."""

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        """Decode these frames (rising, distinct numbers) and keep of each what ``keep`` returns."""

    def sha256(self) -> str:
        """Hash of the source's bytes."""


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    return sha256_file(path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, computed once as long as its size and time of change stay."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


class ImageSource:
    """A picture file: one frame at 0 s, or, if it holds several (animated, pages), a video of them."""

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
        """Of the first picture as it is decoded: no other word is taken for it."""
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
    """A folder of frames in natural order of their names ("2.png" before "10.png"), taken as one per second.

    Frames of several sizes are shown whole, each in its own proportions, on a canvas that holds all of them.
    """

    kind: SourceKind = "folder"
    fps = 1.0
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(_frame_files(path), key=lambda p: _natural(p.name))
        if not self._files:
            inside = contents(path)
            allowed = "jpg, png, tif, webp, bmp, heic or avif images"
            raise InputError(
                f"The folder {path} holds no frames ({allowed}){': ' + inside if inside else ''}."
            )
        self.seconds = np.arange(len(self._files), dtype=np.float64)
        self.duration = float(len(self._files))
        sizes = [(one.width, one.height) for one in map(single_picture, self._files)]
        self.width, self.height = max(width for width, _ in sizes), max(height for _, height in sizes)

    @functools.cached_property
    def _depth(self) -> int:
        """Bits of deep samples, by a few of the frames: no frame is brightened more than others."""
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
    """The frames of a folder; InputError if a file among them is a frame that cannot be read."""
    visible = [path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir()]
    frames = [path for path in visible if path.suffix.lower() in _FRAME_SUFFIXES]
    for path in frames:
        if not path.is_file():  # opening a pipe would wait for ever
            raise InputError(
                f"{path.name} in the folder {folder} is no regular file (a pipe, a device or a broken link): remove it."
            )
    for path in visible:
        if frames and path.suffix.lower() in PICTURE_LIKE and path.is_file():
            refuse_foreign(path, read_head(path))
    return frames


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]
