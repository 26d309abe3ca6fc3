"""Videos for the browser: the file itself, or an H.264 copy that is made once; and single frames.

A video whose writing is filled is always a copy, unless nothing in it was to be filled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from filelock import FileLock

from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.core.files import close_to_others, private_folder, replaced_on_success, sha256_text, write_text
from videopath.core.privacy.paths import find_path, screened_name
from videopath.media.clip import open_moment, open_source
from videopath.media.crop import Crop
from videopath.media.image.samples import fitted
from videopath.media.image.source import FrameSource
from videopath.media.masks import Masks
from videopath.media.metadata import metadata_of
from videopath.media.video.source import VideoSource

_PLAYED = {
    ".mp4": {"h264", "vp9", "av1"},
    ".m4v": {"h264", "vp9", "av1"},
    ".webm": {"vp8", "vp9", "av1"},
}
_PIXELS = {"yuv420p", "yuvj420p"}  # H.264 in other formats is not played everywhere
_MAX_SIDE = 1280  # pixels of the longer side of a copy
_TICKS = 90_000  # per second
_BATCH = 32  # pictures in memory; an animation is decoded from its start for each batch
_CLEAN = ".clean"  # suffix of the mark of a file in which nothing was to be filled
_LIMITED, _BT601, _BT709 = 1, 6, 1  # FFmpeg's numbers for colour range and colour spaces
_COPY_VERSION = 2
"""Version of the way in which copies are made, so that old copies are not used."""
_MASK_VERSION = 1
"""Version of the way in which writing is searched and filled, for the same reason."""
_SEARCHING = 0.7  # of the time of a masked copy


def playable(path: Path, cache: Path, *, with_tags: bool = True) -> Path:
    """Return the file itself if browsers play it, otherwise an H.264 mp4 copy, which the first call makes.

    Browsers treat rotated, mirrored, interlaced and HDR pictures, non-square pixels, and several videos in a file
    differently. All of these are copied as the model saw them. The copy keeps the times of the frames. A folder of
    frames becomes a video with one frame per second.

    Args:
        path: Video, image or folder of frames.
        cache: Folder for copies.
        with_tags: Whether the file itself may be played if its metadata say something of a person.

    Raises:
        InputError: If the file cannot be read.
    """
    source = open_source(path)
    if _is_played(source) and (with_tags or not any(tag.personal for tag in metadata_of(path))):
        return source.path
    copy = cache / f"{_identity(path)}.mp4"
    if not copy.exists():
        private_folder(cache)
        close_to_others(cache)
        with FileLock(copy.with_suffix(".lock"), mode=0o600):  # two tabs may ask for the same copy
            if not copy.exists():
                _transcode(source, copy, _film(source))
    return copy


def masked_playable(
    path: Path,
    cache: Path,
    writing: WritingRule,
    on_progress: Callable[[float], None] | None = None,
    masks: Masks | None = None,
) -> Path:
    """Return a copy with writing filled, which the first call makes; the file itself if there is nothing to fill.

    Args:
        path: Video, image or folder of frames.
        cache: Folder for copies.
        writing: Which writing is filled; with ``keep`` the same as :func:`playable`.
        on_progress: Called with the share that is done, in [0, 1].
        masks: A person's changes to what is filled.

    Raises:
        InputError: If the file cannot be read.
    """
    from videopath.media.writing.film import masked_film

    ready = ready_playable(path, cache, writing, masks)
    if ready is not None:
        return ready
    progress = on_progress or (lambda share: None)
    copy = _masked_copy(path, cache, writing, masks)
    private_folder(cache)
    close_to_others(cache)
    with FileLock(copy.with_suffix(".lock"), mode=0o600):
        ready = ready_playable(path, cache, writing, masks)
        if ready is not None:
            return ready
        film = _Film(open_source(path))
        masked = masked_film(
            film, writing, on_progress=lambda share: progress(share * _SEARCHING), masks=masks
        )
        if not any(found.filled for found in masked.erased.writings):
            write_text(copy.with_suffix(_CLEAN), "", private=True)
            return playable(path, cache, with_tags=False)
        _transcode(film.source, copy, _reported(masked, film.duration, progress))
        progress(1.0)
    return copy


def ready_playable(path: Path, cache: Path, writing: WritingRule, masks: Masks | None = None) -> Path | None:
    """Return what :func:`masked_playable` would return if it is there already; None if it must be made first."""
    if writing == "keep" and not masks:
        return playable(path, cache)
    copy = _masked_copy(path, cache, writing, masks)
    if copy.exists():
        return copy
    return playable(path, cache, with_tags=False) if copy.with_suffix(_CLEAN).exists() else None


def is_masked(file: Path, writing: WritingRule, masks: Masks | None = None) -> bool:
    """Return whether a file that is played is a copy in which writing was filled."""
    return file.stem.endswith(_how_masked(writing, masks))


def frame_at(
    path: Path,
    seconds: float,
    crop: Crop | None = None,
    writing: WritingRule = "mask-all",
    masks: Masks | None = None,
) -> np.ndarray:
    """Return the frame at ``seconds``, or a crop of it, in native resolution, with its writing filled: uint8 [H,W,3]."""
    frame: np.ndarray = open_moment(path, seconds, crop, writing, masks).frames[0]
    return frame


class _Film:
    """All frames of a source in order, each of its size, as :func:`masked_film` reads them."""

    def __init__(self, source: FrameSource) -> None:
        self.source = source

    @property
    def duration(self) -> float:
        return self.source.duration

    def film(self) -> Iterator[tuple[float, np.ndarray]]:
        for seconds, picture in _film(self.source):
            yield seconds, np.ascontiguousarray(fitted(picture, self.source.width, self.source.height))


def _reported(
    film: Iterable[tuple[float, np.ndarray]], duration: float, on_progress: Callable[[float], None]
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the frames of a film, and report the share of the copy that is done."""
    for seconds, picture in film:
        yield seconds, picture
        done = min(1.0, seconds / duration) if duration else 1.0
        on_progress(_SEARCHING + (1 - _SEARCHING) * done)


def _masked_copy(path: Path, cache: Path, writing: WritingRule, masks: Masks | None) -> Path:
    return cache / f"{_identity(path)}{_how_masked(writing, masks)}.mp4"


def _how_masked(writing: WritingRule, masks: Masks | None) -> str:
    """The end of a copy's name: the rule, and a hash of a person's changes if there are any."""
    changes = f"-{sha256_text(masks.model_dump_json())[:16]}" if masks else ""
    return f"-{writing}-{_MASK_VERSION}{changes}"


def _is_played(source: FrameSource) -> bool:
    if not isinstance(source, VideoSource) or not source.plain:
        return False
    codecs = _PLAYED.get(source.path.suffix.lower(), set())
    return source.codec in codecs and (source.codec != "h264" or source.pixels in _PIXELS)


def _identity(path: Path) -> str:
    """A name for the copy, from the path, time and size of the file."""
    path = find_path(path).resolve()
    stat = path.stat()
    name = os.fsencode(path).hex()
    return sha256_text(f"{_COPY_VERSION} {name} {stat.st_mtime_ns} {stat.st_size}")[:24]


def _transcode(source: FrameSource, copy: Path, film: Iterable[tuple[float, np.ndarray]]) -> None:
    """Write every frame of a film, as it is displayed, at its own time."""
    width, height = _even(source.width, source.height)
    rate = Fraction(source.fps or 1).limit_denominator(1000) or Fraction(1)
    with replaced_on_success(copy, private=True) as part, av.open(str(part), "w", format="mp4") as target:
        out: Any = target.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        out.time_base = out.codec_context.time_base = Fraction(1, _TICKS)
        out.codec_context.color_range, out.codec_context.colorspace = _LIMITED, _BT601
        out.codec_context.color_primaries = out.codec_context.color_trc = _BT709
        latest = -1
        for seconds, picture in film:
            pixels = np.ascontiguousarray(fitted(picture, source.width, source.height))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                width=width, height=height, format="yuv420p", dst_colorspace=_BT601, dst_color_range=_LIMITED
            )
            latest = max(latest + 1, round(seconds * _TICKS))
            frame.pts, frame.time_base = latest, Fraction(1, _TICKS)
            target.mux(out.encode(frame))
        target.mux(out.encode())
    if latest < 0:
        raise InputError(f"{screened_name(source.path.name)} contains no picture that can be decoded.")


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
