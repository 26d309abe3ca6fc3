"""Sources of frames: images and folders of frames by Pillow here, videos in ``readers``."""

from __future__ import annotations

import functools
import hashlib
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image, ImageOps

from videopath.core.errors import InputError
from videopath.core.files import sha256_file

Kind = Literal["video", "image", "folder"]
Reader = Literal["decord", "pyav", "pillow"]
Keep = Callable[[np.ndarray], np.ndarray]
"""What is kept of a decoded frame, uint8 [H,W,3] → [h,w,3]: the full frame is let go at once."""

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
ALLOWED = "mp4, mov, mkv, avi, webm, gif, a jpg, png or tif image, or a folder of such images"

_MAX_PIXELS = 180_000_000
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error)
"""What Pillow's decoders raise on damaged files."""


class Source(Protocol):
    """Something that frames can be read from."""

    path: Path
    kind: Kind
    seconds: np.ndarray
    """float64 [N], presentation time of every frame of the source, rising."""
    fps: float
    duration: float
    width: int
    height: int

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


# --- Pillow: images and folders of frames ---------------------------------------------------------------------


class ImageSource:
    """One image: one frame at 0 s."""

    kind: Kind = "image"
    fps = 0.0
    duration = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = np.zeros(1)
        self.width, self.height = picture_size(path)

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        return [keep(read_picture(self.path)) for _ in indices], "pillow"

    def sha256(self) -> str:
        return file_hash(self.path)


class FolderSource:
    """A folder of frames in natural order of their names ("2.png" before "10.png"), taken as one per second."""

    kind: Kind = "folder"
    fps = 1.0

    def __init__(self, path: Path) -> None:
        self.path = path
        names = [
            p
            for p in path.iterdir()
            if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and not p.is_dir()
        ]
        if not names:
            raise InputError(f"The folder {path} holds no frames (jpg, png or tif images).")
        self._files = sorted(names, key=lambda p: _natural(p.name))
        self.seconds = np.arange(len(names), dtype=np.float64)
        self.duration = float(len(names))
        self.width, self.height = picture_size(self._files[0])

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        return [keep(read_picture(self._files[i])) for i in indices], "pillow"

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(f"{file.name}\0{file_hash(file)}\n".encode())
        return digest.hexdigest()


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as displayed, from its header."""
    with _opened(path) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF orientation: lies on its side
        return (image.height, image.width) if turned else (image.width, image.height)


def read_picture(path: Path) -> np.ndarray:
    """An image as uint8 [H,W,3] RGB, turned by its EXIF orientation, 16 bits reduced to 8, on white where transparent."""
    with _opened(path) as image:
        image.load()
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image by Pillow, with all that its decoders raise or warn of put into one sentence."""
    large = f"{path.name} has more than {_MAX_PIXELS // 1_000_000} million pixels; export a part of it or a lower magnification."
    image: Image.Image | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path)
            if image.width * image.height > _MAX_PIXELS:
                raise InputError(large)
            with image:
                yield image
    except Image.DecompressionBombError as error:
        raise InputError(large) from error
    except _DAMAGED as error:
        if image is None:
            raise InputError(f"{path.name} is not an image that can be read; give {ALLOWED}.") from error
        raise InputError(f"{path.name} is damaged or cut short and cannot be read as an image.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scale = 257.0 if values.max() > 255 else 1.0
        return Image.fromarray((values / scale).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
