"""Video files: PyAV reads the structure, and decord or PyAV decodes the chosen frames.

PyAV first reads through every file (streams, packet times, one decoded frame). decord then decodes simple files: all
frames have one size and are displayed as they are stored. PyAV decodes all others, and also if decord is missing, fails,
or disagrees about the number, the times or the size of the frames.
"""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData

from videopath.core.choices import SourceKind
from videopath.core.errors import InputError
from videopath.core.privacy.paths import screened_path
from videopath.media.image.source import ALLOWED, Keep, Reader, file_hash
from videopath.media.tone import curve_of, refuse_unreadable_colours
from videopath.media.video.display import UPRIGHT, Display, Orientation, display_of, draw, with_orientation
from videopath.media.video.streams import VideoTrack, read_through

_log = logging.getLogger(__name__)

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts,asf"
CONTAINER_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
"""FFmpeg's options: only files of these formats are opened, and no addresses that they name."""
_DECORD_CODECS = {"h264", "mpeg4", "mjpeg"}  # not hevc: decord returns wrong frames after a seek
_DECORD_FORMATS = re.compile(r"yuvj?4(20|22|44)p|gray")  # it converts deeper colours to RGB differently
_SEARCHED_CODECS = {
    "h264", "hevc", "vp8", "vp9", "av1", "h263", "mpeg4", "msmpeg4v2", "msmpeg4v3", "mjpeg", "prores", "dnxhd", "cfhd",
    "ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "png", "rawvideo", "v210", "dvvideo",
}  # fmt: skip
"""Codecs with independent keyframes. Other codecs carry palettes or guess times, and are read from the start."""
_STILL_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"mif1": "HEIF",
    b"avif": "AVIF",
}
_INTERLACED = {2, 3, 4, 5}  # FFmpeg's numbers of field orders
_SLACK = 3
"""Frames by which a displayed frame may lag behind its packet (VP8 has packets that are never displayed)."""


class VideoSource:
    """A video file. Frame times come from the packets, and the size from the first frame as it is displayed."""

    kind: SourceKind = "video"

    def __init__(self, path: Path) -> None:
        self.path = path
        _refuse_still(path)
        try:
            with self._container() as container:
                track = read_through(container, path)
                self._learn(container, track)
                claimed, announced = _claimed_seconds(container, track.stream), track.stream.frames
        except av.FFmpegError as error:
            raise InputError(
                f"{path.name} is not a video that can be read, or it is damaged; give {ALLOWED}."
            ) from error
        self._refuse_if_cut_short(track.end, claimed, announced)

    def _container(self) -> Any:
        return av.open(str(self.path), options=CONTAINER_OPTIONS, metadata_errors="replace")

    def _learn(self, container: Any, track: VideoTrack) -> None:
        stream, first = track.stream, track.first
        context = stream.codec_context
        self._index, self._packets = stream.index, track.packets
        self.codec, self.pixels = context.codec.canonical_name, str(context.pix_fmt)
        refuse_unreadable_colours(first, context, self.path.name)
        self._base = float(stream.time_base or 1)
        self._aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio
        # PyAV before 16 does not know the order of the fields; then the first frame's own mark counts.
        order = getattr(context, "field_order", None)
        self._interlaced = bool(first.interlaced_frame) if order is None else order in _INTERLACED
        (_, orientation), *_ = with_orientation([first], self.path.name)
        self._display = display_of(first, orientation, self._aspect, self._interlaced, self.path.name)
        self.width, self.height = self._display.size
        self.notes = tuple(_notes(track, self._display))
        self.plain = (
            self._display == Display(self._display.stored, self._display.stored, UPRIGHT, False)
            and curve_of(first) is None
            and len(container.streams.video) == 1
        )
        self._set_times(float(stream.average_rate) if stream.average_rate else None)

    def _set_times(self, rate: float | None) -> None:
        packets = self._packets
        count = len(packets.pts)
        self._origin = 0.0
        if packets.timed:
            times = packets.pts * self._base
            length = (packets.pts[-1] - packets.pts[0] + packets.last) * self._base
            if times[0] < 0 or times[0] > 1:  # a recording that was cut from a longer stream starts late
                self._origin = times[0]
            self.seconds = times - self._origin
        else:
            length = count / (rate or 1.0)
            self.seconds = np.arange(count) / (rate or 1.0)
        self.duration = float(length)
        self.fps = rate or (count / self.duration if self.duration > 0 else 1.0)

    def _refuse_if_cut_short(self, end: float, claimed: float, announced: int) -> None:
        """Raise if the header claims more than the file holds: ``claimed`` seconds, ``announced`` frames; 0: no claim."""
        present = max(self.duration, end)
        pause = float(np.diff(self.seconds).max()) if len(self.seconds) > 1 else present
        says = ""
        if claimed > 1.05 * present + 0.25 + pause:
            says = f"says that it lasts {_clock(claimed)} but holds only {_clock(present)}"
        elif announced > self._packets.count + 1:
            says = f"says that it has {announced} frames but holds only {self._packets.count}"
        elif self.codec == "gif" and not _ends_with(self.path, b";"):  # a GIF's last byte
            says = "ends before its last frame"
        if says:
            raise InputError(f"{self.path.name} {says}: it is cut short or damaged; copy or export it again.")

    def sha256(self) -> str:
        return file_hash(self.path)

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        frames = self.read_decord(indices, keep)
        if frames is not None:
            return frames, "decord"
        _log.debug("%s: read by PyAV, not by decord.", screened_path(self.path))
        return self.read_pyav(indices, keep), "pyav"

    def read_decord(self, indices: list[int], keep: Keep) -> list[np.ndarray] | None:
        """Decode frames by decord; None if decord is missing, fails, or disagrees with PyAV about the video."""
        decord = _decord() if self._decord_agrees() else None
        if decord is None:
            return None
        try:
            video = decord.VideoReader(str(self.path), num_threads=2)
            if len(video) != len(self.seconds) or not self._same_times(
                video.get_frame_timestamp(indices), indices
            ):
                return None
            frames = []
            for index in indices:
                frame = video[index].asnumpy()
                if frame.shape != (self.height, self.width, 3):
                    return None
                frames.append(keep(frame))
            return frames
        except (decord.DECORDError, RuntimeError, IndexError, AssertionError):
            return None

    def _decord_agrees(self) -> bool:
        """Return whether decord is known to decode such a video like PyAV; it does not for odd heights, for example."""
        known = self.codec in _DECORD_CODECS and _DECORD_FORMATS.fullmatch(self.pixels) is not None
        return known and self.plain and self._packets.timed and self._packets.steady and self.height % 2 == 0

    def _same_times(self, stamps: np.ndarray, indices: list[int]) -> bool:
        expected = self._packets.pts[indices] * self._base
        return bool(np.allclose(stamps[:, 0], expected, rtol=1e-5, atol=0.25 / max(self.fps, 1e-3)))

    def read_pyav(self, indices: list[int], keep: Keep) -> list[np.ndarray]:
        """Decode frames by PyAV: from the keyframe before each, or from the start if the file has no usable keyframes."""
        searchable = self._packets.timed and self.codec in _SEARCHED_CODECS and self.pixels != "pal8"
        try:
            with self._container() as container:
                frames = self._by_seeking(container, indices, keep) if searchable else None
            if frames is None:
                with self._container() as container:
                    frames = self._by_counting(container, indices, keep)
        except av.FFmpegError as error:
            raise InputError(f"{self.path.name} is damaged: its frames cannot be decoded.") from error
        return frames

    def _by_seeking(self, container: Any, indices: list[int], keep: Keep) -> list[np.ndarray] | None:
        """Decode frames after seeking; None if a seek goes too far."""
        stream, packets = self._stream(container), self._packets
        coming = with_orientation(container.decode(stream), self.path.name)
        # the first frame after the shown one; some decoders need tables from the first frame of the file
        ahead = next(coming, None)
        shown: tuple[Any, Orientation] | None = None
        frames: list[np.ndarray] = []
        for index in indices:
            target = int(packets.pts[index])
            key = packets.keys[max(0, int(np.searchsorted(packets.keys, target, side="right")) - 1)]
            reached = next((one[0].pts for one in (ahead, shown) if one), None)
            if reached is None or key > max(reached, packets.keys[0]):
                container.seek(int(key), stream=stream)
                coming, shown = with_orientation(container.decode(stream), self.path.name), None
                ahead = next(coming, None)
            while ahead is not None and ahead[0].pts is not None and ahead[0].pts <= target:
                shown, ahead = ahead, next(coming, None)
            if shown is None or shown[0].pts < packets.pts[max(0, index - _SLACK)]:
                return None
            frames.append(keep(self._picture(*shown, stream)))
        return frames

    def _by_counting(self, container: Any, indices: list[int], keep: Keep) -> list[np.ndarray]:
        stream = self._stream(container)
        chosen = set(indices)
        frames: list[np.ndarray] = []
        for number, (frame, orientation) in enumerate(
            with_orientation(container.decode(stream), self.path.name)
        ):
            if number in chosen:
                frames.append(keep(self._picture(frame, orientation, stream)))
            if len(frames) == len(indices):
                return frames
        seconds = self.seconds[indices[len(frames)]]
        raise InputError(f"{self.path.name} is damaged: nothing can be decoded at {seconds:.1f} s.")

    def film(self, step: float = 0.0) -> Iterator[tuple[float, np.ndarray]]:
        """Yield frames in order: the time in seconds, and the picture as it is displayed, uint8 [H,W,3].

        Args:
            step: Seconds between two of them, as far as there are frames; the others are decoded but not converted. A frame
                that stands longer than this is never left out. 0: all frames.

        Raises:
            InputError: The file is damaged.
        """
        earliest, held = -math.inf, None
        try:
            with self._container() as container:
                stream = self._stream(container)
                for number, (frame, orientation) in enumerate(
                    with_orientation(container.decode(stream), self.path.name)
                ):
                    timed = self._packets.timed and frame.pts is not None
                    seconds = frame.pts * self._base - self._origin if timed else number / self.fps
                    if held and seconds - held[0] > step:
                        yield held[0], self._picture(*held[1:], stream)
                        earliest = held[0] + step
                    held = (float(seconds), frame, orientation)
                    if seconds >= earliest:
                        yield held[0], self._picture(*held[1:], stream)
                        earliest, held = seconds + step, None
        except av.FFmpegError as error:
            raise InputError(f"{self.path.name} is damaged: its frames cannot be decoded.") from error

    def _stream(self, container: Any) -> Any:
        stream = container.streams[self._index]
        stream.thread_type = "AUTO"
        return stream

    def _picture(self, frame: Any, orientation: Orientation, stream: Any) -> np.ndarray:
        """Convert a frame as it is displayed; a frame of another size may have another pixel aspect."""
        same = (frame.width, frame.height) == self._display.stored
        aspect = self._aspect if same else stream.codec_context.sample_aspect_ratio
        return draw(frame, display_of(frame, orientation, aspect, self._interlaced, self.path.name))


@functools.lru_cache(maxsize=16)
def _source(path: Path, state: tuple[int, ...]) -> VideoSource:
    return VideoSource(path)


def video_source(path: Path) -> VideoSource:
    """Open a video file, or return the open source of it if the file has not changed."""
    stat = path.stat()
    return _source(path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


def _refuse_still(path: Path) -> None:
    """Raise for a still picture in a video container: its tiles and thumbnails would be read as frames."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in _STILL_BRANDS:
        raise InputError(
            f"{path.name} is a still picture ({_STILL_BRANDS[head[8:]]}), not a video; save it as jpg or png."
        )


def _notes(track: VideoTrack, display: Display) -> Iterator[str]:
    """Yield sentences about anything unusual in how the video is read."""
    if track.others:
        width, height = display.size
        yield (
            f"The file holds {track.others + 1} videos; only one of them, of {width}×{height} pixels, was looked at."
        )
    if display.interlaced:
        yield "The video is interlaced; every second line was drawn anew from its neighbours."
    curve = curve_of(track.first)
    if curve in ("PQ", "HLG"):
        yield f"The video is HDR ({curve}); it was looked at in ordinary colours."
    stereo = track.first.side_data.get(SideData.STEREO3D)
    if stereo is not None and any(bytes(stereo)[:4]):  # 0 is flat
        yield "The video is stereoscopic; its two views were looked at as they lie in the frame."
    if track.first.side_data.get(SideData.SPHERICAL) is not None:
        yield "The video is spherical (360°); it was looked at as it is stored, unrolled."


@functools.cache
def _decord() -> Any:
    """Return the decord module without its log, or None if it is not installed (ARM, newer macOS)."""
    try:
        import decord
    except (ImportError, OSError):
        _log.info("decord cannot be imported: PyAV reads all videos.")
        return None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _ends_with(path: Path, ending: bytes) -> bool:
    with path.open("rb") as stream:
        stream.seek(-min(64, path.stat().st_size), 2)
        return stream.read().rstrip(b"\0").endswith(ending)


def _claimed_seconds(container: Any, stream: Any) -> float:
    """Return the length in the header, in seconds; 0 if there is none."""
    whole = container.duration / av.time_base if container.duration else 0.0
    start = max(0.0, container.start_time / av.time_base) if container.start_time else 0.0
    return max(float(stream.duration * stream.time_base) if stream.duration else 0.0, whole - start)


def _clock(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 120 else f"{seconds:.1f} s"
