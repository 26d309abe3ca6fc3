"""The scale of a picture, µm of tissue per pixel, where its file states it.

Only fields that mean a scale count: OME-XML, ImageJ's unit, the texts of slide scanners, and a TIFF resolution that no
printer, screen or flatbed scanner has. The dpi of a JPEG, a PNG or a photo never counts.
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

LEAST, MOST = 0.05, 20.0
"""µm per pixel of any microscope or slide scanner; numbers outside of them are not used."""
_ALIKE = 0.01  # by which the two directions may differ
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MICROMETRES = {
    "pm": 1e-6, "nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "\\u00b5m": 1.0,
    "mm": 1e3, "cm": 1e4, "inch": 25_400.0,
}  # fmt: skip
_MPP = re.compile(r"\bMPP\s*=\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_UNIT_TAG, _ACROSS, _DOWN, _INCH, _CENTIMETRE = 296, 282, 283, 2, 3
_PRINTED = 25.0  # dots per inch; printers, screens and flatbed scanners have multiples of it


class Scale(BaseModel):
    """A scale that was read from a file."""

    model_config = ConfigDict(frozen=True)

    um_per_pixel: float = Field(gt=0)
    source: str = Field(description="the field that states it, in words")


def read_scale(path: Path) -> Scale | None:
    """Return the scale that a picture's file states; None if it states none, or none that is plausible.

    Args:
        path: A video, an image or a folder of frames; only TIFF files (also OME-TIFF and ImageJ's) state a scale.
    """
    path = find_path(path)
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(4) not in _TIFF:
                return None
        return _of_tiff(path)
    except (
        InputError,
        OSError,
        ValueError,
        LookupError,
        struct.error,
    ):  # what is wrong with the file is said when it is opened
        return None


def _of_tiff(path: Path) -> Scale | None:
    import logging

    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        pages: Any = tiff.pages
        page = pages.first
        stated = (_of_ome(tiff), _of_scanner(page), _of_imagej(tiff, page), _of_resolution(page))
        return next((scale for scale in stated if scale is not None), None)


def _of_ome(tiff: TiffFile) -> Scale | None:
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", tiff.ome_metadata or "") if tiff.is_ome else None
    if pixels is None:
        return None
    across, down = (_attribute(pixels[0], f"PhysicalSize{axis}") for axis in "XY")
    factors = [_attribute(pixels[0], f"PhysicalSize{axis}Unit") or "µm" for axis in "XY"]
    if across is None:
        return None
    sizes = [
        float(size) * _MICROMETRES.get(unit, math.nan)
        for size, unit in zip((across, down or across), factors if down else factors[:1] * 2, strict=True)
    ]
    return _plausible(sizes[0], sizes[1], "OME-XML, PhysicalSizeX")


def _of_scanner(page: TiffPage) -> Scale | None:
    found = _MPP.search(str(page.description or ""))
    return _plausible(float(found[1]), float(found[1]), "the scanner's description, MPP") if found else None


def _of_imagej(tiff: TiffFile, page: TiffPage) -> Scale | None:
    metadata = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    factor, each = _MICROMETRES.get(str(metadata.get("unit", ""))), _per_unit(page)
    if factor is None or each is None:
        return None
    return _plausible(factor / each[0], factor / each[1], "ImageJ's unit and resolution")


def _of_resolution(page: TiffPage) -> Scale | None:
    """The resolution in pixels per inch or centimetre, unless a printer, a screen or a flatbed scanner has it."""
    tag, each = page.tags.get(_UNIT_TAG), _per_unit(page)
    factor = {_INCH: 25_400.0, _CENTIMETRE: 10_000.0}.get(int(tag.value)) if tag is not None else None
    if factor is None or each is None:
        return None
    dots = [number * 25_400.0 / factor for number in each]
    if (
        any(math.isclose(dot, _PRINTED * round(dot / _PRINTED), rel_tol=1e-4) for dot in dots)
        and dots[0] < 10_000
    ):
        return None
    return _plausible(factor / each[0], factor / each[1], "the TIFF resolution")


def _per_unit(page: TiffPage) -> tuple[float, float] | None:
    tags = [page.tags.get(number) for number in (_ACROSS, _DOWN)]
    values = [tag.value for tag in tags if tag is not None]
    if len(values) != 2:
        return None
    across, down = (float(top) / float(bottom) if bottom else 0.0 for top, bottom in values)
    return (across, down) if across > 0 and down > 0 else None


def _plausible(across: float, down: float, source: str) -> Scale | None:
    """The scale if both directions have it, and a microscope can have it."""
    alike = math.isclose(across, down, rel_tol=_ALIKE)
    return Scale(um_per_pixel=round(across, 5), source=source) if alike and LEAST <= across <= MOST else None


def _attribute(element: str, name: str) -> str | None:
    found = re.search(rf'\b{name}="([^"]*)"', element)
    return found[1] if found else None
