"""Picture files: all frames, upright, in sRGB, with their times. All pictures are read through this module."""

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
    AvifImagePlugin,  # noqa: F401 - only these formats are read: Pillow must not load others
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
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
_SHORTEST = 0.010
"""Seconds; frames with this length or less are shown for ``_INSTEAD``, as browsers do."""
_INSTEAD = 0.1
_DEEP = 16  # bits per channel, of which Pillow keeps the upper half in colour pictures
_HDR = {16: "PQ", 18: "HLG"}
_ONE_OF_SEVERAL_VIEWS = "Multi-Frame Image"
DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error, RuntimeError,
    AttributeError, AssertionError, MemoryError,
)  # fmt: skip
"""Errors that the decoders of Pillow, tifffile and libheif raise for damaged files."""


class Pictures(Protocol):
    """The frames of one picture file."""

    count: int
    width: int
    """Pixels of the first frame as displayed."""
    height: int
    aspect: float
    """Width of a displayed pixel divided by its height; 1 if the file does not say."""
    timed: bool
    """Whether the file holds times of its frames."""
    seconds: np.ndarray
    """float64 [count], from 0; without times in the file, one second per frame."""
    duration: float
    """0 for a single picture."""

    @property
    def depth(self) -> int:
        """Real bits of samples that are stored with more than 8; 0 for samples of 8 bits."""

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        """Yield frames, uint8 [H,W,3] RGB; ``indices`` rise, and deep samples have at least ``depth`` bits."""


class PicturesFile:
    """A picture file and its frames. Errors of decoders become an ``InputError`` with one sentence."""

    def __init__(self, path: Path, reduced: int | None = None) -> None:
        """Open a picture file.

        Args:
            path: The file.
            reduced: A JPEG may be decoded smaller, with sides of at least this many pixels.

        Raises:
            InputError: The file is damaged, too large or not a picture, or its pictures are not frames in time.
        """
        self.path = path
        head = _head_of(path)
        with _errors_as_sentence(path):
            self._pictures: Pictures = (
                TiffPictures(path) if head.startswith(TIFF_STARTS) else _PillowPictures(path, head, reduced)
            )
        self.count, self.timed = self._pictures.count, self._pictures.timed
        self.seconds, self.duration = self._pictures.seconds, self._pictures.duration
        self.width, self.height = self._squared(self._pictures.width, self._pictures.height)

    def _squared(self, width: int, height: int) -> tuple[int, int]:
        return squared(width, height, self._pictures.aspect, self.path.name)

    @property
    def depth(self) -> int:
        """Real bits of samples that are stored with more than 8; 0 for samples of 8 bits."""
        with _errors_as_sentence(self.path):
            return self._pictures.depth

    def frames(self, indices: list[int], depth: int = 0) -> Iterator[np.ndarray]:
        """Yield frames, uint8 [H,W,3] RGB.

        Args:
            indices: Frame numbers, rising.
            depth: Least bits of deep samples, if other frames of the same recording show that.
        """
        with _errors_as_sentence(self.path):
            for picture in self._pictures.frames(indices, depth):
                size = self._squared(picture.shape[1], picture.shape[0])
                yield (
                    picture
                    if size == picture.shape[1::-1]
                    else cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_CUBIC)
                )


def is_picture(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a readable picture; a GIF is read as a video."""
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", *TIFF_STARTS)) or (
        head[:2] == b"BM" and head[14:15] in (b"\x0c", b"\x28", b"\x34", b"\x38", b"\x40", b"\x6c", b"\x7c")
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or _is_heif(head)
    )  # fmt: skip


def read_picture(path: Path, reduced: int | None = None) -> np.ndarray:
    """Read a file of one picture as uint8 [H,W,3] RGB.

    Args:
        path: The file.
        reduced: A JPEG may be decoded smaller, with sides of at least this many pixels, which is many times faster.

    Raises:
        InputError: The file cannot be read, or it holds more than one picture.
    """
    pictures = single_picture(path, reduced)
    return next(pictures.frames([0]))


def single_picture(path: Path, reduced: int | None = None) -> PicturesFile:
    """Open a file of one picture. Raises ``InputError`` if the file holds several."""
    pictures = PicturesFile(path, reduced)
    if pictures.count > 1:
        raise InputError(
            f"{path.name} holds {pictures.count} pictures (pages or frames), but one is expected. Give it alone, as a "
            "video, or save one of its pictures."
        )
    return pictures


def opened_lazily(path: Path, head: bytes) -> Image.Image:
    """Open a picture by Pillow without decoding it, for its headers.

    Args:
        path: The file; not a TIFF.
        head: Its first bytes.
    """
    return _PillowFrames(path, head).opened()


def pillow_frame(path: Path, index: int) -> np.ndarray:
    """Return one page or frame of a file as Pillow decodes it, uint8 [H,W,3]."""
    return next(_PillowFrames(path, None).frames([index]))


def _head_of(path: Path) -> bytes:
    """Return the first bytes of a regular file of a readable kind; a pipe would block, so it is rejected first."""
    if not path.is_file():
        what = (
            "not a regular file (a pipe, a device or a broken link)"
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
def _errors_as_sentence(path: Path) -> Iterator[None]:
    """Turn the errors of decoders into an ``InputError`` with one sentence, and hide their warnings."""
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
    except DAMAGED as error:
        raise InputError(f"{path.name} is damaged or cut short and cannot be read as an image.") from error


class _PillowFrames:
    """Frames by Pillow; each is a full picture, even if the file stores only changes."""

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
    """A picture file of any kind except TIFF."""

    def __init__(self, path: Path, head: bytes, reduced: int | None = None) -> None:
        super().__init__(path, head, reduced)
        _refuse_hdr(path, head)
        with self.opened() as image:
            self.format = str(image.format)
            # an APNG may hold one more picture, for viewers that do not animate
            self._hidden = int(bool(image.info.get("default_image")))
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
        own = _DEEP if self.count > 1 else depth  # so that all frames of an animation get the same brightness
        return super().frames([index + self._hidden for index in indices], own)


def _orientation(image: Image.Image) -> int:
    """Return the orientation of a header before the pixels; EXIF data after them would need the whole picture."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(0x0112, 1) or 1)


def _aspect(image: Image.Image) -> float:
    """Return the width of a stored pixel divided by its height, from the resolutions; 1 if the file has none."""
    density = image.info.get(
        {"PNG": "aspect", "JPEG": "jfif_density", "MPO": "jfif_density"}.get(str(image.format), "dpi")
    )
    across, down = density or image.info.get("dpi") or (1, 1)
    return down / across if across > 0 and down > 0 else 1.0


def _views(image: Any, path: Path) -> int:
    """Return 1: other pictures of a camera's JPEG are previews and gain maps. Several views are rejected."""
    kinds = [entry.get("Attribute", {}).get("MPType", "") for entry in image.mpinfo.get(0xB002, [])]
    views = sum(kind.startswith(_ONE_OF_SEVERAL_VIEWS) for kind in kinds)
    if views > 1:
        raise InputError(
            f"{path.name} holds {views} views of one scene (a panorama, or a picture in 3D). Save one of them as jpg "
            "or png."
        )
    return 1


def _frame_lengths(path: Path, image: Image.Image, count: int) -> np.ndarray | None:
    """Return the seconds for which each frame is shown, float64 [count], or None if the file has no times."""
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
    """Read the lengths from the frame headers: 24 bits of milliseconds after position and size."""
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
    """Read the lengths from the frame control chunks: fractions of a second; without a denominator, hundredths."""
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
    """Return colours [H,W,3] and alpha [H,W] of a PNG with 16 bits per channel, as stored.

    PyAV reads it: once decord is loaded, its zlib replaces that of libpng in OpenCV and imagecodecs, and they fail.
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
    """Return whether the first box has a brand of HEIF or AVIF pictures; videos in this container have other brands."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[place : place + 4] for place in range(16, size, 4))]
    return brands[0] in _HEIF_BRANDS or (
        brands[0] == b"miaf" and any(brand in _HEIF_BRANDS for brand in brands)
    )


def _refuse_hdr(path: Path, head: bytes) -> None:
    """Raise for high dynamic range (PQ, HLG), which would look dark and pale."""
    png = head.startswith(b"\x89PNG")
    if not png and not _is_heif(head):
        return
    with path.open("rb") as stream:
        begin = stream.read(1 << 16)
    if png:
        _, mark, values = begin.partition(b"IDAT")[0].partition(b"cICP")
        transfer = values[1] if len(values) > 1 else 0
    else:
        _, mark, values = begin.partition(b"colrnclx")
        transfer = int.from_bytes(values[2:4], "big")
    if mark and transfer in _HDR:
        raise InputError(
            f"{path.name} is a picture of high dynamic range ({_HDR[transfer]}), which is not supported. Export it in "
            "standard range (SDR, sRGB)."
        )
