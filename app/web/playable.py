"""What a browser can show of a video: the file itself, or an H.264 copy made once; and single frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from filelock import FileLock

from videopath.core.errors import InputError
from videopath.core.files import replaced_on_success, sha256_text
from videopath.model import open_clip
from videopath.model.readers import VideoSource
from videopath.model.sources import Source
from videopath.model.video import open_source

Crop = tuple[float, float, float, float]
"""(left, top, right, bottom) as shares of the displayed frame, in [0, 1]."""

_PLAYED = {
    ".mp4": {"h264", "vp9", "av1"},
    ".m4v": {"h264", "vp9", "av1"},
    ".webm": {"vp8", "vp9", "av1"},
}
_PIXELS = {"yuv420p", "yuvj420p"}  # H.264 in other formats is not played everywhere
_LARGEST = 1280  # pixels of the longer side of a copy
_ROUNDED = 0.001  # seconds by which a written moment may lie before its frame
_LIMITED, _BT601, _BT709 = 1, 6, 1  # FFmpeg's numbers for how colours are written
_TICKS = 90000  # of a second, in which a copy counts
_FOLDER_RATE = 1  # frames per second of a folder's copy, as its seconds count


def playable(path: Path, cache: Path) -> Path:
    """The file itself when browsers play it, else an H.264 mp4 of it in ``cache``, made on the first call.

    The copy keeps the times of the frames. A folder of frames becomes a video of one frame per second.
    Raises ``InputError`` for what cannot be read.
    """
    if path.is_file() and _is_played(path):
        return path
    copy = cache / f"{_identity(path)}.mp4"
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(copy.with_suffix(".lock")):  # two tabs ask for the same copy
            if not copy.exists():
                _transcode(path, copy)
    return copy


def frame_at(path: Path, seconds: float, crop: Crop | None = None) -> np.ndarray:
    """uint8 [H,W,3], RGB: the frame that is shown at ``seconds``, at its native resolution, or a crop of it."""
    shown: np.ndarray = open_clip(path, 1, seconds, seconds + _ROUNDED, crop=crop).frames[0]
    return shown


def _is_played(path: Path) -> bool:
    codecs = _PLAYED.get(path.suffix.lower())
    if codecs is None:
        return False
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            return context.name in codecs and (context.name != "h264" or context.pix_fmt in _PIXELS)
    except (av.FFmpegError, IndexError):
        return False


def _identity(path: Path) -> str:
    """A name for the copy of a file as it is now."""
    stat = path.stat()
    return sha256_text(f"{path.resolve()} {stat.st_mtime_ns} {stat.st_size}")[:24]


def _transcode(path: Path, copy: Path) -> None:
    frames = open_source(path)
    if not isinstance(frames, VideoSource):
        _of_pictures(frames, copy)
        return
    try:
        with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as source:
            _of_video(source, copy)
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path.name} cannot be shown: it is not a video that can be read.") from error


def _of_video(source: av.container.InputContainer, copy: Path) -> None:
    """Every frame at its own time; the picture turned as it is displayed."""
    stream = source.streams.video[0]
    stream.thread_type = "AUTO"
    begin = max(Fraction(0), Fraction(source.start_time or 0, av.time_base))
    with replaced_on_success(copy) as part, av.open(str(part), "w", format="mp4") as target:
        rate = Fraction(stream.average_rate or 25).limit_denominator(1000)
        out = target.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
        out.pix_fmt = "yuv420p"
        out.time_base = out.codec_context.time_base = Fraction(1, 90000)
        turns, sized, latest = 0, False, -1
        for count, frame in enumerate(source.decode(stream)):
            if not sized:
                turns = frame.rotation // 90 % 4
                width, height = (frame.width, frame.height) if turns % 2 == 0 else (frame.height, frame.width)
                out.width, out.height = _even(width, height)
                _say_colours(out.codec_context, frame if turns == 0 and not frame.format.is_rgb else None)
                sized = True
            picture = _drawn(frame, turns, out.width, out.height)
            seconds = Fraction(count) / rate
            if frame.pts is not None and frame.time_base is not None:
                seconds = frame.pts * frame.time_base - begin
            latest = max(latest + 1, round(seconds * 90000))
            picture.pts, picture.time_base = latest, Fraction(1, 90000)
            target.mux(out.encode(picture))
        target.mux(out.encode())
    if not sized:
        raise InputError("The video holds no picture that can be decoded.")


def _drawn(frame: av.VideoFrame, turns: int, width: int, height: int) -> av.VideoFrame:
    if turns:
        stored: Any = frame.to_ndarray(format="rgb24")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(stored, turns)), format="rgb24")
    return frame.reformat(width=width, height=height, format="yuv420p", dst_color_range=_LIMITED)


def _say_colours(context: Any, source: av.VideoFrame | None) -> None:
    """Write down how the colours are to be read: as in the source, or as they become when RGB is converted."""
    context.color_range = _LIMITED
    context.colorspace = source.colorspace if source else _BT601
    context.color_primaries = source.color_primaries if source else _BT709
    context.color_trc = source.color_trc if source else _BT709


def _of_pictures(source: Source, copy: Path) -> None:
    """A folder, the pages of a file or an animated picture: every frame at its own time."""
    with replaced_on_success(copy) as part, av.open(str(part), "w", format="mp4") as target:
        rate = Fraction(source.fps or _FOLDER_RATE).limit_denominator(1000) or Fraction(1, 1000)
        out = target.add_stream("libx264", rate=rate)
        out.pix_fmt = "yuv420p"
        out.width, out.height = _even(source.width, source.height)
        out.time_base = out.codec_context.time_base = Fraction(1, _TICKS)
        _say_colours(out.codec_context, None)
        moments = iter(source.seconds)

        def write(frame: np.ndarray) -> np.ndarray:
            picture = _drawn(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"), 0, *size
            )
            picture.pts, picture.time_base = round(next(moments) * _TICKS), Fraction(1, _TICKS)
            target.mux(out.encode(picture))
            return frame[:0]

        size = out.width, out.height
        source.read(list(range(len(source.seconds))), write)
        target.mux(out.encode())


def _even(width: int, height: int) -> tuple[int, int]:
    """The size of a copy: at most ``_LARGEST``, both sides even as H.264 wants them."""
    scale = min(1.0, _LARGEST / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
