"""Picture files: every frame of one, upright, in its own colours and time; the one way in which pictures are read."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401 - the kinds that are read: Pillow must not look for others
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageOps,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from videopath.core.errors import InputError
from videopath.media.foreign import read_head, refuse_foreign
from videopath.media.image.samples import (
    depth_of,
    image_to_rgb,
    in_srgb,
    on_white,
    squared,
    to_levels,
    upright,
)
from videopath.media.image.tiff import LARGEST, TiffPictures, too_large

ALLOWED = "mp4, mov, mkv, avi, webm, gif, a jpg, png, tif, webp, bmp, heic or avif image, or a folder of such images"

_FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "AVIF"]
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
_SHORTEST = 0.010
"""Seconds; frames that claim no more are shown for ``_INSTEAD``, as browsers do."""
_INSTEAD = 0.1
_DEEP = 16  # bits per channel, of which Pillow keeps the upper half in colour pictures
_HDR = {16: "PQ", 18: "HLG"}
_ONE_OF_SEVERAL_VIEWS = "Multi-Frame Image"
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error, RuntimeError,
    AttributeError, AssertionError, MemoryError,
)  # fmt: skip
"""What the decoders of Pillow, tifffile and libheif raise on damaged files."""


class Pictures(Protocol):
    """The frames of one picture file."""

    count: int
    width: int
    """Pixels as displayed, of the first frame."""
    height: int
    aspect: float
    """Width of a pixel as displayed by its height; 1 where the file does not say."""
    timed: bool
    """Whether the file says when its frames are shown."""
    seconds: np.ndarray
    """float64 [count], from 0; one second a frame where the file does not say."""
    duration: float
    """0 for a single picture."""

    @property
    def depth(self) -> int:
        """Bits that samples of more than 8 really have; 0 if there are none."""

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        """Decode these frames (rising numbers), uint8 [H,W,3] RGB; deep samples have at least ``depth`` bits."""


class PicturesFile:
    """A picture file: what it holds, and its frames. What decoders raise becomes one sentence.

    ``reduced``: a JPEG may be decoded smaller, its sides no less than this.

    Raises InputError: damaged, too large, not a picture, or several pictures that are no frames in time.
    """

    def __init__(self, path: Path, reduced: int | None = None) -> None:
        self.path = path
        head = _head_of(path)
        with _told(path):
            self._pictures: Pictures = (
                TiffPictures(path) if head.startswith(_TIFF_STARTS) else _PillowPictures(path, head, reduced)
            )
        self.count, self.timed = self._pictures.count, self._pictures.timed
        self.seconds, self.duration = self._pictures.seconds, self._pictures.duration
        self.width, self.height = self._squared(self._pictures.width, self._pictures.height)

    def _squared(self, width: int, height: int) -> tuple[int, int]:
        return squared(width, height, self._pictures.aspect, self.path.name)

    @property
    def depth(self) -> int:
        """Bits that samples of more than 8 really have; 0 if there are none."""
        with _told(self.path):
            return self._pictures.depth

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        """Decode these frames (rising numbers), uint8 [H,W,3] RGB, one after the other.

        ``depth``: bits that deep samples have at least, where other files tell it.
        """
        with _told(self.path):
            for picture in self._pictures.frames(indices, depth):
                size = self._squared(picture.shape[1], picture.shape[0])
                yield (
                    picture
                    if size == picture.shape[1::-1]
                    else cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_CUBIC)
                )


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a picture that is read here; a GIF is read as a video."""
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", *_TIFF_STARTS)) or (
        head[:2] == b"BM" and head[14:15] in (b"\x0c", b"\x28", b"\x34", b"\x38", b"\x40", b"\x6c", b"\x7c")
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or _is_heif(head)
    )  # fmt: skip


def read_picture(path: Path, reduced: int | None = None) -> np.ndarray:
    """Read a file of one picture as uint8 [H,W,3] RGB.

    Args:
        path: The file.
        reduced: A JPEG may be decoded smaller, its sides no less than this: many times faster.

    Raises:
        InputError: The file cannot be read, or holds more pictures than one.
    """
    pictures = single_picture(path, reduced)
    return next(pictures.frames([0]))


def single_picture(path: Path, reduced: int | None = None) -> PicturesFile:
    """Open a file of one picture; InputError if it holds several."""
    pictures = PicturesFile(path, reduced)
    if pictures.count > 1:
        raise InputError(
            f"{path.name} holds {pictures.count} pictures (pages or frames) where one is expected; give it alone, as a "
            "video, or save the one that is meant."
        )
    return pictures


def pillow_frame(path: Path, index: int) -> np.ndarray:
    """One page or frame of a file as Pillow decodes it."""
    return next(_PillowFrames(path, None).frames([index]))


def _head_of(path: Path) -> bytes:
    """The first bytes of a regular file that is nothing foreign: a pipe would block."""
    if not path.is_file():
        what = (
            "no regular file (a pipe, a device or a broken link)"
            if path.is_symlink() or path.exists()
            else "missing"
        )
        raise InputError(f"{path.name} is {what}; give {ALLOWED}.")
    try:
        head = read_head(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise InputError(f"{path.name} is empty (0 bytes).")
    refuse_foreign(path, head)
    return head


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Put all that decoders raise or warn of into one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(too_large(path)) from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path.name} is not an image that can be read; give {ALLOWED}.") from error
    except _DAMAGED as error:
        raise InputError(f"{path.name} is damaged or cut short and cannot be read as an image.") from error


class _PillowFrames:
    """Frames by Pillow, full pictures whatever each frame changes of the one before."""

    def __init__(self, path: Path, head: bytes | None, reduced: int | None = None) -> None:
        self.path, self._head, self._reduced = path, head, reduced

    def opened(self) -> Image.Image:
        formats = _FORMATS
        if self._head is not None and _is_heif(self._head):
            import pillow_heif

            pillow_heif.register_heif_opener()
            formats = ["HEIF", "AVIF"]
        image = Image.open(self.path, formats=formats)
        if image.width * image.height > LARGEST:
            image.close()
            raise InputError(too_large(self.path))
        if self._reduced is not None:
            image.draft("RGB", (self._reduced, self._reduced))
        return image

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        with self.opened() as image:
            for index in indices:
                if index or image.tell():
                    image.seek(index)
                image.load()
                yield image_to_rgb(ImageOps.exif_transpose(image), self.path.name, depth or None)


class _PillowPictures(_PillowFrames):
    """A picture file of any kind but TIFF."""

    def __init__(self, path: Path, head: bytes, reduced: int | None = None) -> None:
        super().__init__(path, head, reduced)
        _refuse_hdr(path, head)
        with self.opened() as image:
            self.format = str(image.format)
            self._hidden = int(
                bool(image.info.get("default_image"))
            )  # of an APNG: shown where it is not animated
            self.count = int(getattr(image, "n_frames", 1)) - self._hidden
            if self.format == "MPO":
                self.count = _views(image, path)
            turned = _orientation(image) in (5, 6, 7, 8)
            self.aspect = 1 / _aspect(image) if turned else _aspect(image)
            self.width, self.height = image.size[::-1] if turned else image.size
            several = self.count > 1
            lengths = _frame_lengths(path, image, self.count) if several else None
        self.timed = lengths is not None
        shown = lengths if lengths is not None else np.ones(self.count)
        self.seconds = np.concatenate([[0.0], np.cumsum(shown)[:-1]])
        self.duration = float(shown.sum()) if several else 0.0
        self._deep = self.format == "PNG" and head[24] == _DEEP and not several

    @property
    def depth(self) -> int:
        return depth_of(_deep_png(self.path)[0]) if self._deep else 0

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        if self._deep:
            return iter([_deep_picture(self.path, depth)] * len(indices))
        own = _DEEP if self.count > 1 else depth  # frames of one animation are equally bright
        return super().frames([index + self._hidden for index in indices], own)


def _orientation(image: Image.Image) -> int:
    """From what lies before the pixels: EXIF behind them would need the whole picture."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(0x0112, 1) or 1)


def _aspect(image: Image.Image) -> float:
    """Width of a stored pixel by its height, by how many lie on a length each way; 1 where it is not said."""
    density = image.info.get(
        {"PNG": "aspect", "JPEG": "jfif_density", "MPO": "jfif_density"}.get(str(image.format), "dpi")
    )
    across, down = density or image.info.get("dpi") or (1, 1)
    return down / across if across > 0 and down > 0 else 1.0


def _views(image: Any, path: Path) -> int:
    """1: the other pictures of a camera's JPEG are previews and gain maps, or the file is refused."""
    kinds = [entry.get("Attribute", {}).get("MPType", "") for entry in image.mpinfo.get(0xB002, [])]
    views = sum(kind.startswith(_ONE_OF_SEVERAL_VIEWS) for kind in kinds)
    if views > 1:
        raise InputError(
            f"{path.name} holds {views} views of one thing (a panorama, or a picture in 3D) and it is not known which "
            "is meant: save one as jpg or png."
        )
    return 1


def _frame_lengths(path: Path, image: Image.Image, count: int) -> np.ndarray | None:
    """Seconds for which each frame is shown, float64 [count]; None where the file has no times."""
    if image.format == "WEBP":
        lengths = _webp_lengths(path)
    elif image.format == "PNG":
        lengths = _apng_lengths(path)
    elif image.format == "AVIF":
        lengths = _lengths_by_decoding(image)
    else:
        return None
    if len(lengths) != count:
        raise InputError(
            f"{path.name} says that it has {count} frames but holds {len(lengths)}: it is cut short or damaged; copy "
            "or export it again."
        )
    seconds = np.asarray(lengths, np.float64)
    return np.where(seconds <= _SHORTEST, _INSTEAD, seconds)


def _webp_lengths(path: Path) -> list[float]:
    """From the headers of the frames: 24 bits of milliseconds, behind place and size."""
    lengths = []
    with path.open("rb") as stream:
        stream.seek(12)
        while len(header := stream.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            begin = stream.tell()
            if header[:4] == b"ANMF":
                lengths.append(int.from_bytes(stream.read(16)[12:15], "little") / 1000)
            stream.seek(begin + size + size % 2)
    return lengths


def _apng_lengths(path: Path) -> list[float]:
    """From the control chunks of the frames: a fraction of a second, hundredths where it has no denominator."""
    lengths = []
    with path.open("rb") as stream:
        stream.seek(8)
        while len(header := stream.read(8)) == 8:
            size = int.from_bytes(header[:4], "big")
            begin = stream.tell()
            if header[4:] == b"fcTL":
                part, whole = struct.unpack(">HH", stream.read(26)[20:24])
                lengths.append(part / (whole or 100))
            stream.seek(begin + size + 4)
    return lengths


def _lengths_by_decoding(image: Any) -> list[float]:
    lengths = []
    for index in range(image.n_frames):
        image.seek(index)
        image.load()
        lengths.append(float(image.info.get("duration", 0)) / 1000)
    return lengths


def _deep_png(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours [H,W,3] and alpha [H,W] of a PNG of 16 bits per channel, as stored.

    By PyAV: once decord is loaded, its zlib takes the place of libpng's in OpenCV and imagecodecs, which then fail.
    """
    import av

    try:
        with path.open("rb") as stream:
            container: Any = av.open(stream, format="png_pipe")
            with container:
                frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration) as error:
        raise ValueError("cannot be decoded") from error
    if frame.format.name == "ya16be":  # PyAV has no array of this format
        frame = frame.reformat(format="rgba64be", src_color_range="JPEG", dst_color_range="JPEG")
    stored: Any = frame.to_ndarray()
    samples = stored[..., None] if stored.ndim == 2 else stored
    colours = samples[..., :3] if samples.shape[-1] >= 3 else np.repeat(samples[..., :1], 3, axis=-1)
    return colours, samples[..., 3] if samples.shape[-1] == 4 else None


def _deep_picture(path: Path, depth: int) -> np.ndarray:
    colours, alpha = _deep_png(path)
    with Image.open(path, formats=["PNG"]) as image:
        orientation, profile = int(image.getexif().get(0x0112, 1) or 1), image.info.get("icc_profile")
    levels = to_levels(np.ascontiguousarray(colours), path.name, max(depth, depth_of(colours)))
    cover = None if alpha is None else to_levels(alpha, path.name)
    return upright(on_white(in_srgb(levels, profile), cover), orientation)


def _is_heif(head: bytes) -> bool:
    """By the brands in the first box; a video in the same container has others."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[place : place + 4] for place in range(16, size, 4))]
    return brands[0] in _HEIF_BRANDS or (
        brands[0] == b"miaf" and any(brand in _HEIF_BRANDS for brand in brands)
    )


def _refuse_hdr(path: Path, head: bytes) -> None:
    """Colours of high dynamic range (PQ, HLG) would be shown dark and pale."""
    png = head.startswith(b"\x89PNG")
    if not png and not _is_heif(head):
        return
    with path.open("rb") as stream:
        begin = stream.read(1 << 16)
    if png:
        _, found, told = begin.partition(b"IDAT")[0].partition(b"cICP")
        transfer = told[1] if len(told) > 1 else 0
    else:
        _, found, told = begin.partition(b"colrnclx")
        transfer = int.from_bytes(told[2:4], "big")
    if found and transfer in _HDR:
        raise InputError(
            f"{path.name} is a picture of high dynamic range ({_HDR[transfer]}), whose brightness is not known here: "
            "export it in standard range (SDR, sRGB)."
        )
