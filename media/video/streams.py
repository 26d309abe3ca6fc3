"""The choice of the video among a file's streams, and what its packets show before they are decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from videopath.core.errors import InputError
from videopath.media.image.files import ALLOWED

_NO_VIDEO = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
)
"""Covers of sound files, pictures for a seek bar, single pictures, and layers that need another stream."""
_PREVIEW_FRAMES = 0.25
"""A smaller stream with a smaller share of the frames is a preview of another stream."""


@dataclass(frozen=True)
class Packets:
    """The packets of one video stream, in the order of display."""

    pts: np.ndarray  # int64 [N]
    keys: np.ndarray  # int64 [K]: pts of the keyframes
    last: int  # ticks, for how long the last frame is shown
    count: int  # frames present, including those that an edit list hides
    timed: bool  # False: the container has no presentation times, and pts is a count
    steady: bool  # False: size or rotation of the frames may change in between


@dataclass
class _Reading:
    """A stream while its packets are read."""

    stream: Any
    pts: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    final: tuple[int, int] = (-(2**63), 0)  # pts and duration of the frame shown last
    count: int = 0
    timed: bool = True
    headers: set[bytes] = field(default_factory=set)
    first: Any = None
    error: av.FFmpegError | None = None

    def add(self, packet: Any) -> None:
        self._decode_first(packet)
        if not packet.size:
            return
        self.count += not packet.is_corrupt
        if packet.is_discard or packet.is_corrupt:
            return
        self.timed = self.timed and packet.pts is not None
        pts = packet.pts if packet.pts is not None else len(self.pts)
        self.pts.append(pts)
        if pts >= self.final[0]:
            self.final = pts, packet.duration or 0
        if packet.is_keyframe:
            self.keys.append(pts)
            self.headers.add(_header(self.stream.codec_context, bytes(packet)))

    def _decode_first(self, packet: Any) -> None:
        if self.first is not None or self.error is not None:
            return
        try:
            self.first = next(iter(packet.decode()), None)
        except av.FFmpegError as error:
            self.error = error

    def packets(self) -> Packets:
        pts = self.pts if self.timed else range(len(self.pts))
        moments = np.unique(np.array(pts, dtype=np.int64))
        last = self.final[1] or (int(np.median(np.diff(moments))) if len(moments) > 1 else 0)
        keys = np.unique(np.array(self.keys or self.pts[:1], dtype=np.int64))
        return Packets(moments, keys, last, self.count, self.timed, len(self.headers) <= 1)

    @property
    def ticks(self) -> float:
        """Return the length in seconds, from the packets' times or from the frame rate."""
        if not self.timed:
            return self.count / float(self.stream.average_rate or 1)
        return float((max(self.pts) - min(self.pts) + self.final[1]) * (self.stream.time_base or 1))

    @property
    def pixels(self) -> int:
        context = self.stream.codec_context
        return int(context.width * context.height)


@dataclass(frozen=True)
class VideoTrack:
    """The chosen video stream of a file."""

    stream: Any
    packets: Packets
    first: Any
    """The first frame, decoded."""
    end: float
    """Seconds at which the last packet of any stream ends."""
    others: int
    """Number of further videos in the file, without previews."""


def read_through(container: Any, path: Path) -> VideoTrack:
    """Read all packets once and choose the video among the streams.

    Covers, thumbnails and previews (one frame, less than half as long, or smaller with few frames) are left out. Of the
    others the stream that is marked as default is chosen, then the largest, then the one with most frames.

    Args:
        container: The open file.
        path: Its path, for messages.

    Raises:
        InputError: The file has no video.
        av.FFmpegError: The file is damaged.
    """
    readings = {stream.index: _Reading(stream) for stream in _candidates(container, path)}
    end = 0.0
    for packet in container.demux():
        if packet.stream.index in readings:
            readings[packet.stream.index].add(packet)
        moment = packet.pts if packet.pts is not None else packet.dts
        if packet.size and moment is not None and packet.time_base is not None:
            end = max(end, float((moment + (packet.duration or 0)) * packet.time_base))
    with_frames = [reading for reading in readings.values() if reading.pts]
    if not with_frames:
        raise InputError(f"{path.name} holds no frames.")
    videos = _without_previews(with_frames)
    chosen = _chosen(videos)
    if chosen.error:
        raise chosen.error
    if chosen.first is None:
        raise InputError(f"{path.name} holds no picture that can be decoded.")
    return VideoTrack(chosen.stream, chosen.packets(), chosen.first, end, len(videos) - 1)


def _candidates(container: Any, path: Path) -> list[Any]:
    streams = [stream for stream in container.streams.video if not stream.disposition & _NO_VIDEO]
    readable = [stream for stream in streams if stream.codec_context is not None]
    if streams and not readable:
        raise InputError(f"{path.name} uses a codec that cannot be read; export it as H.264 in mp4.")
    if not streams:
        only = "a cover or thumbnail" if container.streams.video else ""
        if container.streams.audio:
            only = f"sound and {only}" if only else "sound"
        raise InputError(f"{path.name} holds no video{f' (only {only})' if only else ''}; give {ALLOWED}.")
    return readable


def _without_previews(readings: list[_Reading]) -> list[_Reading]:
    longest, most = max(one.ticks for one in readings), max(one.count for one in readings)
    largest = max(one.pixels for one in readings)
    full = [
        one
        for one in readings
        if (one.count > 1 or most == 1)
        and one.ticks >= longest / 2
        and (one.count >= _PREVIEW_FRAMES * most or one.pixels >= largest)
    ]
    return full or [max(readings, key=lambda one: one.count)]


def _chosen(videos: list[_Reading]) -> _Reading:
    marked = [one for one in videos if one.stream.disposition & Disposition.default]
    return max(marked or videos, key=lambda one: (one.pixels, one.count))


def _header(context: Any, packet: bytes) -> bytes:
    """Return the header in a keyframe; if it changes, size, rotation or scan of the next frames may change. Empty: none."""
    if context.name == "h264":
        return _h264_header(packet, bytes(context.extradata or b""))
    if context.name == "mpeg4":
        match = re.search(rb"\x00\x00\x01[\x20-\x2f].*?(?=\x00\x00\x01)", packet[:1024], re.DOTALL)
        return match[0] if match else b""
    if context.name == "mjpeg":
        match = re.search(rb"\xff[\xc0-\xc3]\x00.\x08(.{4})", packet, re.DOTALL)
        return match[1] if match else b""
    return b""


_SEQUENCE, _MESSAGES, _ORIENTATION = 7, 6, 47  # kinds of unit and of message in H.264


def _h264_header(packet: bytes, extradata: bytes) -> bytes:
    """Return sequence parameters and orientation; without lengths of the units, the first bytes of the packet."""
    if extradata[:1] != b"\1" or len(extradata) < 5:
        return packet[:256]
    size = (extradata[4] & 3) + 1
    start, header = 0, b""
    while start + size < len(packet):
        length = int.from_bytes(packet[start : start + size], "big")
        unit = packet[start + size : start + size + min(length, 256)]
        kind = unit[0] & 31 if unit else 0
        if kind == _SEQUENCE or (kind == _MESSAGES and unit[1:2] == bytes([_ORIENTATION])):
            header += unit
        start += size + length
    return header
