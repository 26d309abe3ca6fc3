"""Preprocessing: uint8 RGB frames become the pixels that the vision tower reads, without torchvision.

The result equals the original's with the same version of Pillow. Pillow 13 resizes portrait images slightly differently
from Pillow 10 to 12, by up to two levels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from videopath.core.errors import InputError, ModelError

Size = tuple[int, int]

_PAD_COLOUR = (127, 127, 127)
_RANGE = re.compile(r"\((\d+)x(\d+)\)")
# ((level * 1/255 in float64) - 0.5) / 0.5 in float32: the original's order of operations, for all 256 levels.
_LEVELS = ((np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32) - np.float32(0.5)) / np.float32(
    0.5
)


def to_pixels(frames: np.ndarray, size: int) -> torch.Tensor:
    """Resize frames ``uint8 [T, H, W, 3]`` to ``float32 [T, 3, size, size]`` in [-1, 1]; the aspect is not kept."""
    return normalise(squash(frames, size))


def squash(frames: np.ndarray, size: int) -> np.ndarray:
    """Resize each frame of ``uint8 [T, H, W, 3]`` bicubically to ``uint8 [T, 3, size, size]``."""
    _check_frames(frames)
    return np.stack([_channels_first(Image.fromarray(frame), size) for frame in frames])


def normalise(levels: np.ndarray) -> torch.Tensor:
    """Convert levels ``uint8`` of any shape to ``float32`` in [-1, 1]."""
    return torch.from_numpy(_LEVELS[levels])


def image_tiles(image: np.ndarray, size: int, aspect: str, pinpoints: Sequence[Size] = ()) -> np.ndarray:
    """Cut an image ``uint8 [H, W, 3]`` into tiles ``uint8 [N, 3, size, size]``.

    Args:
        image: The image.
        size: Side of a tile in pixels.
        aspect: The checkpoint's rule. "anyres...": the whole image, resized, then the tiles of the best pinpoint, row by
            row. "pad": one tile, padded to a square with grey. Any other: one tile, resized.
        pinpoints: Sizes of the mosaics, (width, height) in pixels.
    """
    _check_frames(image[None])
    picture = Image.fromarray(image)
    if aspect.startswith("anyres"):
        return np.stack([_channels_first(tile, size) for tile in _anyres(picture, size, pinpoints)])
    if aspect == "pad":
        picture = _padded_square(picture)
    return _channels_first(picture, size)[None]


def best_resolution(image_size: Size, pinpoints: Sequence[Size]) -> Size:
    """Return the pinpoint (width, height) that keeps most of the image; on ties the one with the least waste, then the first.

    Raises:
        ModelError: There are no pinpoints.
    """
    if not pinpoints:
        raise ModelError(
            "The checkpoint needs anyres tiles, but its config.json has no image_grid_pinpoints."
        )
    width, height = image_size

    def key(target: Size) -> tuple[int, int]:
        scale = min(target[0] / width, target[1] / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        return effective, effective - target[0] * target[1]

    return max(pinpoints, key=key)


def read_pinpoints(value: object, size: int | None) -> tuple[Size, ...]:
    """Return ``image_grid_pinpoints`` of a config.json as (width, height) pairs in their order.

    Args:
        value: A list, a list as text, or a range like ``"(1x1),...,(6x6)"``.
        size: Unit of a range in pixels; ``None``: a range gives no pairs.
    """
    if isinstance(value, str):
        ends = [(int(w), int(h)) for w, h in _RANGE.findall(value)]
        if ends:
            (w0, h0), (w1, h1) = ends[0], ends[-1]
            cells = [(w, h) for w in range(w0, w1 + 1) for h in range(h0, h1 + 1)]
            return tuple((w * size, h * size) for w, h in cells) if size else ()
        numbers = [int(number) for number in re.findall(r"\d+", value)]
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if isinstance(value, (list, tuple)):
        return tuple((int(width), int(height)) for width, height in value)
    return ()


def _anyres(picture: Image.Image, size: int, pinpoints: Sequence[Size]) -> list[Image.Image]:
    target = best_resolution(picture.size, pinpoints)
    canvas = _fitted(picture, target)
    boxes = [(x, y, x + size, y + size) for y in range(0, target[1], size) for x in range(0, target[0], size)]
    return [picture.resize((size, size), Image.Resampling.BICUBIC), *(canvas.crop(box) for box in boxes)]


def _fitted(picture: Image.Image, target: Size) -> Image.Image:
    """Return the picture with its aspect in the middle of a black canvas of the target's size."""
    width, height = picture.size
    scale_w, scale_h = target[0] / width, target[1] / height
    if scale_w < scale_h:
        fitted = (target[0], min(math.ceil(height * scale_w), target[1]))
    else:
        fitted = (min(math.ceil(width * scale_h), target[0]), target[1])
    canvas = Image.new("RGB", target)
    corner = ((target[0] - fitted[0]) // 2, (target[1] - fitted[1]) // 2)
    canvas.paste(picture.resize(fitted, Image.Resampling.BICUBIC), corner)
    return canvas


def _padded_square(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    side = max(width, height)
    canvas = Image.new("RGB", (side, side), _PAD_COLOUR)
    canvas.paste(picture, ((side - width) // 2, (side - height) // 2))
    return canvas


def _channels_first(picture: Image.Image, size: int) -> np.ndarray:
    resized = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(resized).transpose(2, 0, 1)


def _check_frames(frames: np.ndarray) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(
            f"Frames must be uint8 [T, H, W, 3], RGB, not empty; got {frames.dtype} {list(frames.shape)}."
        )
