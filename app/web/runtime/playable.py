"""Videos for the browser: the file itself, or an H.264 copy that is made once; and single frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from filelock import FileLock

from videopath.core.errors import InputError
from videopath.core.files import close_to_others, private_folder, replaced_on_success, sha256_text
from videopath.media.clip import open_source
from videopath.media.crop import Crop
from videopath.media.image.samples import fitted
from videopath.media.image.source import FrameSource
from videopath.media.video.source import VideoSource
from videopath.model import open_clip

_PLAYED = {
    ".mp4": {"h264", "vp9", "av1"},
    ".m4v": {"h264", "vp9", "av1"},
    ".webm": {"vp8", "vp9", "av1"},
}
_PIXELS = {"yuv420p", "yuvj420p"}  # H.264 in other formats is not played everywhere
_MAX_SIDE = 1280  # pixels of the longer side of a copy
_ROUNDING = 0.001  # seconds by which a rounded moment may lie before its frame
_TICKS = 90_000  # per second
_BATCH = 32  # pictures in memory; an animation is decoded from its start for each batch
_LIMITED, _BT601, _BT709 = 1, 6, 1  # FFmpeg's numbers for colour range and colour spaces
_COPY_VERSION = 2
"""Version of the way in which copies are made, so that old copies are not used."""


def playable(path: Path, cache: Path) -> Path:
    """Return the file itself if browsers play it, otherwise an H.264 mp4 copy, which the first call makes.

    Browsers treat rotated, mirrored, interlaced and HDR pictures, non-square pixels, and several videos in a file
    differently. All of these are copied as the model saw them. The copy keeps the times of the frames. A folder of
    frames becomes a video with one frame per second.

    Args:
        path: Video, image or folder of frames.
        cache: Folder for copies.

    Raises:
        InputError: If the file cannot be read.
    """
    source = open_source(path)
    if _is_played(source):
        return path
    copy = cache / f"{_identity(path)}.mp4"
    if not copy.exists():
        private_folder(cache)
        close_to_others(cache)
        with FileLock(copy.with_suffix(".lock"), mode=0o600):  # two tabs may ask for the same copy
            if not copy.exists():
                _transcode(source, copy)
    return copy


def frame_at(path: Path, seconds: float, crop: Crop | None = None) -> np.ndarray:
    """Return the frame at ``seconds``, or a crop of it, in native resolution: uint8 [H,W,3], RGB."""
    frame: np.ndarray = open_clip(path, 1, seconds, seconds + _ROUNDING, crop=crop).frames[0]
    return frame


def _is_played(source: FrameSource) -> bool:
    if not isinstance(source, VideoSource) or not source.plain:
        return False
    codecs = _PLAYED.get(source.path.suffix.lower(), set())
    return source.codec in codecs and (source.codec != "h264" or source.pixels in _PIXELS)


def _identity(path: Path) -> str:
    """A name for the copy, from the path, time and size of the file."""
    stat = path.stat()
    name = os.fsencode(path.resolve()).hex()
    return sha256_text(f"{_COPY_VERSION} {name} {stat.st_mtime_ns} {stat.st_size}")[:24]


def _transcode(source: FrameSource, copy: Path) -> None:
    """Write every frame, as it is displayed, at its own time."""
    width, height = _even(source.width, source.height)
    rate = Fraction(source.fps or 1).limit_denominator(1000) or Fraction(1)
    with replaced_on_success(copy, private=True) as part, av.open(str(part), "w", format="mp4") as target:
        out: Any = target.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        out.time_base = out.codec_context.time_base = Fraction(1, _TICKS)
        out.codec_context.color_range, out.codec_context.colorspace = _LIMITED, _BT601
        out.codec_context.color_primaries = out.codec_context.color_trc = _BT709
        latest = -1
        for seconds, picture in _film(source):
            pixels = np.ascontiguousarray(fitted(picture, source.width, source.height))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                width=width, height=height, format="yuv420p", dst_colorspace=_BT601, dst_color_range=_LIMITED
            )
            latest = max(latest + 1, round(seconds * _TICKS))
            frame.pts, frame.time_base = latest, Fraction(1, _TICKS)
            target.mux(out.encode(frame))
        target.mux(out.encode())
    if latest < 0:
        raise InputError(f"{source.path.name} contains no picture that can be decoded.")


def _film(source: FrameSource) -> Iterator[tuple[float, np.ndarray]]:
    if isinstance(source, VideoSource):
        yield from source.film()
        return
    for start in range(0, len(source.seconds), _BATCH):
        seconds = source.seconds[start : start + _BATCH]
        pictures, _ = source.read(list(range(start, start + len(seconds))), np.ascontiguousarray)
        yield from zip(map(float, seconds), pictures, strict=True)


def _even(width: int, height: int) -> tuple[int, int]:
    """The size of a copy: at most ``_MAX_SIDE``, and both sides even, as H.264 requires."""
    scale = min(1.0, _MAX_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
