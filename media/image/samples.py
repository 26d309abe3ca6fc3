"""Conversion of stored samples to displayed pictures: uint8 RGB in sRGB, at full brightness, transparency on white."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from videopath.core.errors import InputError

_DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
"""Bits of cameras and scanners; samples are often stored with more bits than that."""
_FAINT = 16  # of 255: an alpha channel that stays below it was never filled
_SQUARE = 0.01
"""A pixel that differs from a square by less is a rounding error of the writer."""
_MAX_ASPECT = 8
"""Largest ratio of a pixel's sides; a larger one is damage."""
_OVERSHOOT = 0.02  # share of the range by which filtered values may leave it
_LAB = "LAB"


def depth_of(samples: np.ndarray) -> int:
    """Return the real bits of integer samples: the smallest usual depth that holds the largest sample."""
    largest = int(samples.max(initial=0))
    whole = 8 * samples.dtype.itemsize - 1 if samples.dtype.kind == "i" else 64  # one bit is the sign's
    return min(whole, next((bits for bits in _DEPTHS if largest < 1 << bits), 64))


def to_levels(samples: np.ndarray, name: str, depth: int | None = None) -> np.ndarray:
    """Convert samples of any type to uint8, with black at 0 and white at 255.

    Args:
        samples: The stored samples, of any shape with rows first.
        name: The file's name, for messages.
        depth: Bits of an integer sample; default: as many as the largest sample needs.

    Raises:
        InputError: The values of black and white are not known.
    """
    if samples.dtype == np.uint8 and (depth is None or depth == 8):
        return samples
    if samples.dtype == bool:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype.kind == "f":
        return _float_levels(samples, name)
    if samples.dtype.kind not in "ui":
        raise InputError(f"{name} has samples that are not plain numbers; save it with 8 bits per channel.")
    if samples.min(initial=0) < 0:
        raise InputError(
            f"{name} has samples below 0, so it is not known which value is black; save it with 8 bits per channel."
        )
    white = (1 << max(depth or 0, 1 if samples.dtype == np.uint8 else depth_of(samples))) - 1
    return _scaled(samples, float(white))


def _float_levels(samples: np.ndarray, name: str) -> np.ndarray:
    """Take floats as 0 … 1, 0 … 255 or integers of a usual depth, whichever fits the largest sample."""
    if not np.isfinite(samples).all():
        raise InputError(f"{name} has samples that are NaN or infinite; save it with 8 bits per channel.")
    lowest, highest = float(samples.min(initial=0)), float(samples.max(initial=0))
    white = 1.0 if highest <= 1 + _OVERSHOOT else float((1 << depth_of(samples.max(keepdims=True))) - 1)
    if lowest < -_OVERSHOOT * white:
        raise InputError(
            f"{name} has samples from {lowest:.4g} to {highest:.4g}, so it is not known which value is black; "
            "save it with 8 bits per channel."
        )
    return _scaled(samples, white)


def _scaled(samples: np.ndarray, white: float) -> np.ndarray:
    """Scale row by row, so that a large picture is never held twice."""
    levels = np.empty(samples.shape, np.uint8)
    for row, stored in enumerate(samples):
        levels[row] = np.rint(np.clip(stored.astype(np.float64) * (255 / white), 0, 255))
    return levels


def on_white(colours: np.ndarray, alpha: np.ndarray | None, *, multiplied: bool = False) -> np.ndarray:
    """Put a transparent picture on white.

    Args:
        colours: uint8 [H,W,3].
        alpha: uint8 [H,W], or None. An alpha channel that is empty everywhere was never filled and is ignored.
        multiplied: Whether the colours are stored multiplied by alpha.

    Returns:
        uint8 [H,W,3].
    """
    if alpha is None or alpha.min(initial=255) == 255 or alpha.max(initial=0) < _FAINT:
        return colours
    layer = np.dstack([colours, alpha])
    if multiplied:
        cover = colours.astype(np.uint16) + (255 - alpha.astype(np.uint16))[..., None]
        return np.minimum(cover, 255).astype(np.uint8)
    picture = Image.fromarray(layer)
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))


def image_to_rgb(image: Image.Image, name: str, depth: int | None = None) -> np.ndarray:
    """Convert a decoded image of any Pillow mode to uint8 [H,W,3] in sRGB; ``depth``: see :func:`to_levels`."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        return np.stack([to_levels(np.asarray(image), name, depth)] * 3, axis=-1)
    if "a" in image.mode.lower().replace("lab", "") or "transparency" in image.info:
        layer = np.asarray(image.convert("RGBA"))
        return on_white(in_srgb(layer[..., :3], profile), layer[..., 3])
    if image.mode == _LAB:
        return np.asarray(_from_lab(image))
    if image.mode == "CMYK" and profile:
        converted = _converted(image, profile)
        return np.asarray(converted or image.convert("RGB"))
    return in_srgb(np.asarray(image.convert("RGB")), profile)


def in_srgb(colours: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Convert uint8 [H,W,3] from an ICC profile to sRGB; without a usable profile the colours are returned unchanged."""
    if not profile:
        return colours
    converted = _converted(Image.fromarray(np.ascontiguousarray(colours)), profile)
    return colours if converted is None else np.asarray(converted)


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return None if the profile is sRGB already, damaged, or for other channels: viewers ignore it, too."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return None
        return ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    turned = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    assert turned is not None
    return turned


_TURNS: dict[int, tuple[int, bool]] = {
    1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)
}  # fmt: skip
"""Orientation of EXIF and TIFF → quarter turns to the left, and whether left and right are then swapped."""


def upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate and mirror a stored picture [H,W,…] by its orientation tag (1 … 8)."""
    turns, mirrored = _TURNS.get(orientation, (0, False))
    turned = np.rot90(picture, turns) if turns else picture
    return turned[:, ::-1] if mirrored else turned


def squared(width: int, height: int, aspect: float, name: str) -> tuple[int, int]:
    """Return width and height with square pixels; one side grows, and none shrinks.

    Args:
        width: Stored pixels.
        height: Stored pixels.
        aspect: Width of a pixel divided by its height.
        name: The file's name, for the message.

    Raises:
        InputError: The aspect is impossible.
    """
    if not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        raise InputError(
            f"{name} says that its pixels are {aspect:.3g} times as wide as high: it is damaged; export it again."
        )
    if abs(aspect - 1) < _SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Fit a picture, uint8 [H,W,3], into ``width`` × ``height`` pixels, in its own proportions and with black bars.

    Players show such bars, too, and the quality gate ignores them.
    """
    rows, columns = picture.shape[:2]
    if (rows, columns) == (height, width):
        return picture
    import cv2

    scale = min(width / columns, height / rows)
    size = (min(width, max(1, round(columns * scale))), min(height, max(1, round(rows * scale))))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    inner = cv2.resize(picture, size, interpolation=interpolation) if scale != 1 else picture
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = inner
    return canvas
