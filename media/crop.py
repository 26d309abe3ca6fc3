"""The part of a frame that is looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videopath.core.errors import InputError

Crop = tuple[float, float, float, float]
"""(left, top, right, bottom) as shares of the displayed frame's width and height, in [0, 1]."""

WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)

_ALLOWED = "give left,top,right,bottom: shares of the frame from 0 to 1, such as 0.1,0,0.9,1, or pixels, such as 128,0,1152,720"


def parse_crop(text: str) -> Crop:
    """Read a crop that a person typed: four numbers with commas between them, shares or pixels.

    Raises:
        InputError: These are not four numbers, or they do not enclose a part of a frame.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise InputError(f"The crop {text[:40]!r} cannot be read; {_ALLOWED}.")
    return checked_crop(numbers)


def checked_crop(crop: Sequence[float]) -> Crop:
    """Return a crop whose numbers enclose a part of a frame; they are pixels if one of them is above 1.

    Raises:
        InputError: They do not.
    """
    numbers = tuple(crop)
    usable = len(numbers) == 4 and all(
        isinstance(number, int | float) and math.isfinite(number) and number >= 0 for number in numbers
    )
    if not usable or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        shown = ",".join(f"{n:g}" if isinstance(n, int | float) else str(n)[:20] for n in numbers[:5])
        raise InputError(
            f"The crop {shown} encloses nothing: left must be less than right and top less than bottom, and no number "
            f"may be negative; {_ALLOWED}."
        )
    left, top, right, bottom = map(float, numbers)
    return left, top, right, bottom


def in_pixels(crop: Sequence[float]) -> bool:
    """Return whether a crop is in pixels: one of its numbers is above 1."""
    return max(crop) > 1


def as_shares(crop: Sequence[float], width: int, height: int) -> Crop:
    """Return a crop as shares of the frame.

    Args:
        crop: Shares, or pixels of the frame.
        width: Width of the frame as displayed, in pixels.
        height: Its height.

    Raises:
        InputError: It encloses nothing, or it reaches over the frame.
    """
    left, top, right, bottom = checked_crop(crop)
    if not in_pixels(crop):
        return left, top, right, bottom
    if right > width or bottom > height:
        raise InputError(
            f"The crop {left:g},{top:g},{right:g},{bottom:g} in pixels reaches over the frame, which has {width} × {height}."
        )
    return left / width, top / height, right / width, bottom / height


def within(outer: Crop, inner: Crop) -> Crop:
    """Return a crop of a crop as shares of the whole frame."""
    left, top, right, bottom = outer
    width, height = right - left, bottom - top
    return (
        left + inner[0] * width,
        top + inner[1] * height,
        left + inner[2] * width,
        top + inner[3] * height,
    )


def touches(box: Crop, crop: Crop) -> bool:
    """Return whether two parts of a frame share a point inside."""
    return box[0] < crop[2] and crop[0] < box[2] and box[1] < crop[3] and crop[1] < box[3]
