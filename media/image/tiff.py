"""TIFF files: one picture, or pages that are frames in time. Other stacks are rejected, and the message names them.

tifffile knows the meaning of the pages (ImageJ, OME, pyramids) and reads the samples as stored. Pillow reads colour
spaces that need more than the samples (palettes, CMYK, CIELab, YCbCr).
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videopath.core.errors import InputError
from videopath.media.foreign import SLIDE
from videopath.media.image.samples import depth_of, image_to_rgb, in_srgb, on_white, to_levels, upright

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

_SLIDE_FLAGS = {"svs", "scn", "ndpi", "bif", "qpi", "philips", "avs", "indica"}
_MICROSCOPE_FLAGS = {"lsm", "stk", "fluoview", "nih", "tvips", "eer", "scanimage"}
_AXES = {
    "Z": "z slices", "C": "channels", "P": "positions", "R": "tiles", "E": "wavelengths", "W": "slices",
    "H": "lifetimes", "A": "angles", "V": "views", "M": "mosaic tiles", "L": "exposures",
}  # fmt: skip
_FRAME_AXES = "TIQ"  # time; pages without a meaning
_PLAIN = (0, 1, 2)  # white is zero, black is zero, RGB: the samples are the colours
_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 2, 3, 5, 6, 8
_PILLOW_MODES = {_CMYK: "CMYK", _LAB: "LAB"}
_BY_SAMPLES = (*_PLAIN, _PALETTE, *_PILLOW_MODES)
_JPEG = (7, 34892, 33007)
_DNG_VERSION, _ICC_PROFILE, _ORIENTATION = 50706, 34675, 274
_RESOLUTIONS = (282, 283)  # horizontal and vertical, as fractions
_SCANNED = 8  # pages that give the depth of all
_UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "µs": 1e-6, "us": 1e-6,
          "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0}  # fmt: skip

LARGEST = 180_000_000
"""Pixels of the largest picture that is decoded."""


def too_large(path: Path) -> str:
    """Return the message for a picture with too many pixels."""
    return (
        f"{path.name} has more than {LARGEST // 1_000_000} million pixels; "
        "export a part of it or a lower magnification."
    )


class TiffPictures:
    """The frames of a TIFF file, one or several, with their times."""

    def __init__(self, path: Path) -> None:
        """Read the structure of a file, not yet its pixels.

        Raises:
            InputError: The file is a whole slide, a stack of depths or channels, or has pages of several sizes.
        """
        self.path = path
        with self._opened() as (tiff, series):
            page = series.keyframe
            self.count = _frame_count(series)
            rows, columns = page.imagelength, page.imagewidth
            if rows * columns > LARGEST:
                raise InputError(too_large(path))
            turned = _tag(page, _ORIENTATION, 1) in (5, 6, 7, 8)
            self.width, self.height = (rows, columns) if turned else (columns, rows)
            self.aspect = 1 / _aspect(page) if turned else _aspect(page)
            self.timed, self.seconds, self.duration = _times(tiff, self.count)

    @functools.cached_property
    def depth(self) -> int:
        """Real bits of deep samples, found on a few frames, so that all frames get the same brightness; 0 for 8 bits."""
        with self._opened() as (tiff, series):
            page = series.keyframe
            if not _is_deep(page):
                return 0
            stated = re.search(r'SignificantBits="(\d+)"', tiff.ome_metadata or "") if tiff.is_ome else None
            chosen = np.unique(np.linspace(0, self.count - 1, min(self.count, _SCANNED), dtype=int))
            pages = (self._samples(tiff, series, int(index)) for index in chosen)
            measured = max(depth_of(_parts(page, samples)[0]) for samples in pages)
            return max(measured, int(stated[1])) if stated else measured

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        """Yield frames, uint8 [H,W,3], upright; deep samples have at least ``depth`` bits."""
        least = max(depth, self.depth)
        with self._opened() as (tiff, series):
            for index in indices:
                yield self._picture(tiff, series, index, least)

    @contextmanager
    def _opened(self) -> Iterator[tuple[TiffFile, TiffPageSeries]]:
        import tifffile

        logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # VideoPath reports damage itself
        with tifffile.TiffFile(self.path, _multifile=False) as tiff:
            yield tiff, _the_series(tiff, self.path.name)

    def _picture(self, tiff: TiffFile, series: TiffPageSeries, index: int, depth: int) -> np.ndarray:
        page = self._page(tiff, series, index)
        if page.photometric not in _BY_SAMPLES and not (
            page.photometric == _YCBCR and page.compression in _JPEG
        ):
            return _by_pillow(page, self.path)
        samples = self._samples(tiff, series, index)
        return upright(_coloured(page, samples, depth, self.path.name), int(_tag(page, _ORIENTATION, 1)))

    def _page(self, tiff: TiffFile, series: TiffPageSeries, index: int) -> TiffPage:
        """Return the page of a frame with all its tags; the first page for frames without own pages."""
        if self.count > len(tiff.pages):
            return series.keyframe
        page: Any = series[index] if self.count > 1 else series.keyframe
        whole: TiffPage = page.aspage()
        if whole.imagewidth * whole.imagelength > LARGEST:
            raise InputError(too_large(self.path))
        return whole

    def _samples(self, tiff: TiffFile, series: TiffPageSeries, index: int) -> np.ndarray:
        """Return one frame as stored, [H,W,S]."""
        page = self._page(tiff, series, index)
        if self.count > len(tiff.pages):  # ImageJ and tifffile write large stacks after a single page
            stored = np.asarray(_behind_one_page(tiff, series, self.count)[index])
        else:
            _refuse_if_cut_short(page, self.path)
            stored = page.asarray()
        if stored.ndim == 3 and page.planarconfig == 2 and stored.shape[0] == page.samplesperpixel:
            stored = np.moveaxis(stored, 0, -1)
        return stored.reshape(page.imagelength, page.imagewidth, -1)


def _is_deep(page: TiffPage) -> bool:
    dtype = page.dtype
    return page.photometric != _PALETTE and dtype is not None and dtype.kind in "ui" and dtype.itemsize > 1


def _coloured(page: TiffPage, samples: np.ndarray, depth: int, name: str) -> np.ndarray:
    """Convert samples [H,W,S] to uint8 RGB in sRGB, transparency on white."""
    if page.photometric == _PALETTE and page.colormap is not None:
        return np.asarray(page.colormap >> 8, np.uint8).T[samples[..., 0]]
    stored, alpha, multiplied = _parts(page, samples)
    if (
        stored.shape[-1] == 1
        and samples.shape[-1] > 1
        and alpha is None
        or stored.shape[-1] < _channels(page)
    ):
        raise InputError(
            f"{name} holds {samples.shape[-1]} channels and it is not known which is meant: export it as RGB."
        )
    packed = page.bitspersample if page.bitspersample not in (1, 8, 16, 32, 64) else 0
    real = packed or (max(depth, depth_of(stored)) if _is_deep(page) else None)
    picture = to_levels(stored, name, real)
    profile = _tag(page, _ICC_PROFILE, None)
    if page.photometric in _PILLOW_MODES:
        return _converted(page, picture, profile, name)
    if page.photometric == _WHITE_IS_ZERO:
        picture = 255 - picture
    picture = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    if stored.shape[-1] == 3:
        picture = in_srgb(picture, profile)
    cover = None if alpha is None else to_levels(alpha, name, packed or None)
    return on_white(picture, cover, multiplied=multiplied)


def _aspect(page: TiffPage) -> float:
    """Return the width of a stored pixel divided by its height, from the resolutions; 1 if the file has none."""
    across, down = (_tag(page, number, (1, 1)) for number in _RESOLUTIONS)
    if not all((*across, *down)):
        return 1.0
    return float(Fraction(*down) / Fraction(*across))


def _channels(page: TiffPage) -> int:
    return {_RGB: 3, _YCBCR: 3, _CMYK: 4, _LAB: 3}.get(int(page.photometric), 1)


def _parts(page: TiffPage, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Return colours [H,W,C], alpha [H,W] or None, and whether the colours are stored multiplied by alpha."""
    colours = _channels(page)
    kinds = [int(kind) for kind in page.extrasamples]
    alphas = [
        place for place, kind in enumerate(kinds) if kind in (1, 2) and colours + place < samples.shape[-1]
    ]
    alpha = samples[..., colours + alphas[0]] if alphas else None
    return samples[..., :colours], alpha, bool(alphas) and kinds[alphas[0]] == 1


def _the_series(tiff: TiffFile, name: str) -> TiffPageSeries:
    """Return the only series of pictures in a file. Raises ``InputError`` if the file is anything else."""
    flags = set(tiff.flags)
    first = tiff.pages.first
    if flags & _SLIDE_FLAGS:
        raise InputError(f"{name} is {SLIDE.what}: {SLIDE.advice}.")
    if _DNG_VERSION in first.tags:
        raise InputError(f"{name} is a camera's raw file (DNG): convert it to png or jpg.")
    if flags & _MICROSCOPE_FLAGS:
        raise InputError(
            f"{name} is a microscope's own kind of TIFF: export the field in question as png, jpg or mp4."
        )
    _refuse_missing_pages(tiff, name)
    series = [one for one in tiff.series if not _is_mask(one)]
    main = series[0]
    reduced = sum(_is_reduced(one) for one in series[1:])
    if len(main.levels) > 1 or reduced:
        levels = max(len(main.levels), 1 + reduced)
        raise InputError(
            f"{name} holds {levels} levels of one picture, as a whole slide does: {SLIDE.advice}."
        )
    if len(series) > 1:
        sizes = ", ".join(f"{one.keyframe.imagewidth}×{one.keyframe.imagelength}" for one in series[:4])
        raise InputError(
            f"{name} holds {len(tiff.pages)} pages of {len(series)} sizes or kinds "
            f"({sizes}{' …' if len(series) > 4 else ''}), so it is not one recording: save the ones that are meant as "
            "pictures in a folder."
        )
    _refuse_other_axes(tiff, main, name)
    return main


def _refuse_other_axes(tiff: TiffFile, series: TiffPageSeries, name: str) -> None:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    page = series.keyframe
    if page.imagedepth > 1:
        sizes["Z"] = page.imagedepth
    other = {axis: size for axis, size in sizes.items() if axis not in "YXS" + _FRAME_AXES and size > 1}
    if other:
        what = " and ".join(f"{size} {_AXES.get(axis, f'planes ({axis})')}" for axis, size in other.items())
        advice = (
            "export it as RGB"
            if set(other) == {"C"}
            else "save the one that is meant as a picture, or, if they follow in time, as frames (in ImageJ: Image, "
            "Properties, Frames)"
        )
        raise InputError(f"{name} holds {what} and it is not known which is meant: {advice}.")
    if sum(sizes.get(axis, 1) > 1 for axis in _FRAME_AXES) > 1:
        raise InputError(f"{name} holds frames along several axes ({series.axes}): save one row of them.")
    if tiff.is_ome and (len(series.pages) > len(tiff.pages) or any(page is None for page in series.pages)):
        raise InputError(
            f"{name} is one file of an OME-TIFF of several: export the whole as one file or as a folder of frames."
        )


def _is_mask(series: TiffPageSeries) -> bool:
    return bool(series.keyframe.subfiletype & 4)


def _is_reduced(series: TiffPageSeries) -> bool:
    return bool(series.keyframe.subfiletype & 1)


def _frame_count(series: TiffPageSeries) -> int:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return int(np.prod([sizes.get(axis, 1) for axis in _FRAME_AXES], dtype=np.int64))


def _times(tiff: TiffFile, count: int) -> tuple[bool, np.ndarray, float]:
    """Return whether the file holds times, the times from 0, and the whole duration; without times, 1 s per frame."""
    if count == 1:
        return False, np.zeros(1), 0.0
    plane_times = _planes_times(tiff.ome_metadata or "", count) if tiff.is_ome else None
    step = _interval(tiff)
    times = plane_times if plane_times is not None else np.arange(count) * (step or 1.0)
    last = float(np.median(np.diff(times)))
    return plane_times is not None or step is not None, times, float(times[-1]) + last


def _interval(tiff: TiffFile) -> float | None:
    """Return the seconds between two frames that ImageJ or OME wrote, or None."""
    if tiff.is_imagej:
        meta = tiff.imagej_metadata or {}
        unit = _UNITS.get(str(meta.get("tunit", "s")).strip().lower(), 1.0)
        step = _positive(meta.get("finterval"))
        rate = _positive(meta.get("fps"))
        return step * unit if step else (1 / rate if rate else None)
    if tiff.is_ome:
        pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", tiff.ome_metadata or "")
        step = _positive(_attribute(pixels[0], "TimeIncrement")) if pixels else None
        return step * _unit(pixels[0], "TimeIncrementUnit") if pixels and step else None
    return None


def _planes_times(xml: str, count: int) -> np.ndarray | None:
    """Return the times of all frames of an OME file, or None unless all are present and rise."""
    moments: dict[int, float] = {}
    for plane in re.findall(r"<(?:\w+:)?Plane\b[^>]*>", xml):
        moment, number = _attribute(plane, "DeltaT"), _attribute(plane, "TheT")
        if moment is not None and number is not None and number.isdecimal():
            moments.setdefault(int(number), float(moment) * _unit(plane, "DeltaTUnit"))
    if sorted(moments) != list(range(count)):
        return None
    times = np.array([moments[number] for number in range(count)])
    rising = np.isfinite(times).all() and (np.diff(times) > 0).all()
    return times - times[0] if rising else None


def _attribute(element: str, name: str) -> str | None:
    match = re.search(rf'\b{name}="([^"]*)"', element)
    return match[1] if match else None


def _unit(element: str, name: str) -> float:
    return _UNITS.get((_attribute(element, name) or "s").strip(), 1.0)


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None


def _behind_one_page(tiff: TiffFile, series: TiffPageSeries, count: int) -> np.ndarray:
    """Return the frames of a stack without own pages, as a memory map."""
    page = series.keyframe
    dtype = np.dtype(page.dtype).newbyteorder(tiff.byteorder)
    shape = (count, *page.shape)
    start = series.dataoffset
    if start is None or start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > tiff.filehandle.size:
        raise InputError(
            f"{tiff.filename} says that it has {count} frames but holds fewer: it is cut short or damaged; copy or "
            "export it again."
        )
    return np.memmap(tiff.filehandle.path, dtype, "r", start, shape)


def _refuse_missing_pages(tiff: TiffFile, name: str) -> None:
    """Raise if pages are missing: tifffile stops silently if the chain of pages breaks, or if metadata do not fit."""
    layout, stream = tiff.tiff, tiff.filehandle
    stream.seek(tiff.pages[-1].offset)
    tags = int.from_bytes(stream.read(layout.tagnosize), "big" if tiff.byteorder == ">" else "little")
    stream.seek(tags * layout.tagsize, 1)
    ended = not any(stream.read(layout.offsetsize))
    announced = int((tiff.imagej_metadata or {}).get("images", 1)) if tiff.is_imagej else 1
    present = len(tiff.pages) if tiff.series[0].kind != "imagej" else announced
    if not ended or announced > present:
        raise InputError(f"{name} is damaged or cut short: it lacks pages; copy or export it again.")


def _refuse_if_cut_short(page: Any, path: Path) -> None:
    """Raise if pixels are missing: tifffile fills them with zeros."""
    size = path.stat().st_size
    pieces = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    whole = all(offset > 0 and count > 0 and offset + count <= size for offset, count in pieces)
    if whole and page.compression == 1 and page.bitspersample % 8 == 0 and not page.is_tiled:
        whole = sum(count for _, count in pieces) >= page.nbytes
    if not whole:
        raise InputError(f"{path.name} is damaged or cut short and cannot be read as an image.")


def _tag(page: Any, number: int, default: Any) -> Any:
    tag = page.tags.get(number)
    return default if tag is None else tag.value


def _converted(page: TiffPage, levels: np.ndarray, profile: bytes | None, name: str) -> np.ndarray:
    """Convert CMYK and CIELab to sRGB."""
    from PIL import Image

    if page.photometric == _LAB and page.bitspersample != 8:
        raise InputError(f"{name} has deep CIELab samples: save it as RGB.")
    size = (levels.shape[1], levels.shape[0])
    image = Image.frombytes(_PILLOW_MODES[page.photometric], size, np.ascontiguousarray(levels).tobytes())
    image.info["icc_profile"] = profile
    return image_to_rgb(image, name)


def _by_pillow(page: TiffPage, path: Path) -> np.ndarray:
    """Read colour spaces that only libtiff unpacks; it does not rotate all pictures correctly, so those are rejected."""
    from videopath.media.image.files import pillow_frame

    if int(_tag(page, _ORIENTATION, 1)) != 1:
        raise InputError(f"{path.name} is a turned TIFF of a rare kind: save it upright as png or jpg.")
    return pillow_frame(path, page.index)
