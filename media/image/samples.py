"""From stored samples to the picture as it is shown: uint8 RGB at full brightness, on white where it is transparent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from videopath.core.errors import InputError

_DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
"""Bits of a camera or scanner; samples are often stored in more than they have."""
_FAINT = 16  # of 255: an alpha channel that stays below it was never filled in
_SQUARE = 0.01
"""Pixels that are wider or higher than square by less are a rounding of whoever wrote the file."""
_LONGEST = 8
"""Times that a pixel may be as wide as high: more is damage."""
_OVERSHOOT = 0.02  # share of the range by which filtered values may leave it
_LAB = "LAB"


def depth_of(samples: np.ndarray) -> int:
    """Return how many bits whole-numbered samples really have: the least usual depth that holds the largest one."""
    largest = int(samples.max(initial=0))
    whole = 8 * samples.dtype.itemsize - 1 if samples.dtype.kind == "i" else 64  # one bit is the sign's
    return min(whole, next((bits for bits in _DEPTHS if largest < 1 << bits), 64))


def to_levels(samples: np.ndarray, name: str, depth: int | None = None) -> np.ndarray:
    """Bring samples of any type to uint8, black to 0 and white to 255.

    ``depth``: bits of a whole-numbered sample; None: as many as the largest one needs.

    Raises InputError if it is not known which value is black or white.
    """
    if samples.dtype == np.uint8 and (depth is None or depth == 8):
        return samples
    if samples.dtype == bool:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype.kind == "f":
        return _float_levels(samples, name)
    if samples.dtype.kind not in "ui":
        raise InputError(f"{name} has samples that are no plain numbers; save it with 8 bits per channel.")
    if samples.min(initial=0) < 0:
        raise InputError(
            f"{name} has samples below 0, so it is not known which value is black; save it with 8 bits per channel."
        )
    white = (1 << max(depth or 0, 1 if samples.dtype == np.uint8 else depth_of(samples))) - 1
    return _scaled(samples, float(white))


def _float_levels(samples: np.ndarray, name: str) -> np.ndarray:
    """Floats are taken as 0 … 1, 0 … 255 or as whole numbers of a usual depth, whichever the largest one fits."""
    if not np.isfinite(samples).all():
        raise InputError(
            f"{name} has samples that are no numbers (NaN or infinite); save it with 8 bits per channel."
        )
    lowest, highest = float(samples.min(initial=0)), float(samples.max(initial=0))
    white = 1.0 if highest <= 1 + _OVERSHOOT else float((1 << depth_of(samples.max(keepdims=True))) - 1)
    if lowest < -_OVERSHOOT * white:
        raise InputError(
            f"{name} has samples from {lowest:.4g} to {highest:.4g}, so it is not known which value is black; "
            "save it with 8 bits per channel."
        )
    return _scaled(samples, white)


def _scaled(samples: np.ndarray, white: float) -> np.ndarray:
    """In rows, so that no second copy of a large picture is held in floats."""
    levels = np.empty(samples.shape, np.uint8)
    for row, stored in enumerate(samples):
        levels[row] = np.rint(np.clip(stored.astype(np.float64) * (255 / white), 0, 255))
    return levels


def on_white(colours: np.ndarray, alpha: np.ndarray | None, *, multiplied: bool = False) -> np.ndarray:
    """Lay uint8 [H,W,3] on white by alpha uint8 [H,W]; an alpha that is empty everywhere was never filled in.

    ``multiplied``: the colours are stored multiplied by alpha.
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
    """Show a decoded image of any of Pillow's modes as uint8 [H,W,3], in sRGB; ``depth``: see :func:`to_levels`."""
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
    """Convert uint8 [H,W,3] from the colours of an ICC profile; as it is if there is none or none that can be used."""
    if not profile:
        return colours
    converted = _converted(Image.fromarray(np.ascontiguousarray(colours)), profile)
    return colours if converted is None else np.asarray(converted)


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    """None if the profile is sRGB already, damaged, or of other channels: viewers ignore it then."""
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
"""Orientation of EXIF and TIFF: quarter turns to the left, then whether left and right are swapped."""


def upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror a stored picture [H,W,…] as its orientation tag (1 … 8) says."""
    turns, mirrored = _TURNS.get(orientation, (0, False))
    turned = np.rot90(picture, turns) if turns else picture
    return turned[:, ::-1] if mirrored else turned


def squared(width: int, height: int, aspect: float, name: str) -> tuple[int, int]:
    """The size with square pixels: a side is made longer, none shorter.

    Args:
        width: Pixels as stored.
        height: Pixels as stored.
        aspect: Width of a pixel by its height.
        name: The file's, for the message.

    Raises:
        InputError: The pixels have an impossible shape.
    """
    if not 1 / _LONGEST <= aspect <= _LONGEST:
        raise InputError(
            f"{name} says that its pixels are {aspect:.3g} times as wide as high: it is damaged; export it again."
        )
    if abs(aspect - 1) < _SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Show uint8 [H,W,3] in its own proportions, as large as ``width`` × ``height`` holds, between black bars.

    Black bars are what players show too, and the quality gate leaves them out.
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
