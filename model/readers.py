"""Video files: what PyAV learns of one without decoding it, and the chosen frames decoded by decord or PyAV.

decord reads by default. PyAV looks at every file first (container, stream, packet times, one decoded frame), so that
decord is only ever given files that are known to be sound; it also reads where decord is absent, fails, or disagrees
about the number, times or size of the frames.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from videopath.core.errors import InputError
from videopath.model.sources import ALLOWED, Keep, Kind, Reader, file_hash

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts,asf"
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
_DECORD_CODECS = {"h264", "mpeg4", "vp9", "mjpeg"}  # not hevc: decord gives other frames after a search
_DECORD_FORMATS = re.compile(r"yuvj?4(20|22|44)p|gray")  # it turns deeper colours to RGB in another way
_COUNTED_CODECS = {"mpeg1video", "mpeg2video"}  # their frames' times are guessed, otherwise after a search
_SLACK = 3
"""Frames by which a shown frame may lag behind its packet (VP8 holds packets that are never shown)."""


@dataclass(frozen=True)
class _Packets:
    """The picture track's packets in the order of display."""

    pts: np.ndarray  # int64 [N]
    keys: np.ndarray  # int64 [K]: pts of the keyframes
    last: int  # ticks for which the last frame is shown
    count: int  # pictures present, those that an edit list hides too
    end: float  # seconds at which the last packet of any track ends
    timed: bool  # False: the container has no presentation times, pts just counts


class VideoSource:
    """A video file, looked at by PyAV: frame times from the packets, size and rotation from the first frame."""

    kind: Kind = "video"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._container() as container:
                stream = _picture_stream(container, path)
                self._codec, self._format = stream.codec_context.name, str(stream.codec_context.pix_fmt)
                first = next(container.decode(stream), None)
                if first is None:
                    raise InputError(f"{path.name} holds no picture that can be decoded.")
                self.rotation = int(first.rotation) % 360
                self._shape = (first.height, first.width)  # as stored
                container.seek(0)
                self._packets = _scan(container, stream, path)
                self._base = float(stream.time_base or 1)
                claimed, announced = _claimed_seconds(container, stream), stream.frames
                rate = stream.average_rate
        except av.FFmpegError as error:
            raise InputError(
                f"{path.name} is not a video that can be read, or it is damaged; give {ALLOWED}."
            ) from error
        self._set_times(float(rate) if rate else None)
        self._refuse_if_cut_short(claimed, announced)
        turned = self.rotation in (90, 270)
        self.height, self.width = self._shape[::-1] if turned else self._shape

    def _container(self) -> Any:
        return av.open(str(self.path), options=_OPTIONS, metadata_errors="replace")

    def _set_times(self, rate: float | None) -> None:
        packets = self._packets
        count = len(packets.pts)
        if packets.timed:
            times = packets.pts * self._base
            length = (packets.pts[-1] - packets.pts[0] + packets.last) * self._base
            origin = (
                times[0] if times[0] < 0 or times[0] > 1 else 0.0
            )  # recordings cut from a longer stream start late
            self.seconds = times - origin
        else:
            length = count / (rate or 1.0)
            self.seconds = np.arange(count) / (rate or 1.0)
        self.duration = float(length)
        self.fps = rate or (count / self.duration if self.duration > 0 else 1.0)

    def _refuse_if_cut_short(self, claimed: float, announced: int) -> None:
        """``claimed`` seconds and ``announced`` frames are the header's word; 0 where it says nothing."""
        present = max(self.duration, self._packets.end)
        pause = float(np.diff(self.seconds).max()) if len(self.seconds) > 1 else present
        says = ""
        if claimed > 1.05 * present + 0.25 + pause:
            says = f"says that it lasts {_clock(claimed)} but holds only {_clock(present)}"
        elif announced > self._packets.count + 1:
            says = f"says that it has {announced} frames but holds only {self._packets.count}"
        elif self._codec == "gif" and not _ends_with(self.path, b";"):  # a GIF's last byte
            says = "ends before its last frame"
        if says:
            raise InputError(f"{self.path.name} {says}: it is cut short or damaged; copy or export it again.")

    def sha256(self) -> str:
        return file_hash(self.path)

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        frames = self.read_decord(indices, keep)
        if frames is not None:
            return frames, "decord"
        return self.read_pyav(indices, keep), "pyav"

    def read_decord(self, indices: list[int], keep: Keep) -> list[np.ndarray] | None:
        """The frames by decord; None where it is absent, fails, or sees another video than PyAV."""
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
        """Whether decord is known to give PyAV's frames for such a video; not so for odd heights, for one."""
        known = self._codec in _DECORD_CODECS and _DECORD_FORMATS.fullmatch(self._format) is not None
        return known and self._packets.timed and self.rotation % 90 == 0 and self._shape[0] % 2 == 0

    def _same_times(self, stamps: np.ndarray, indices: list[int]) -> bool:
        expected = self._packets.pts[indices] * self._base
        return bool(np.allclose(stamps[:, 0], expected, rtol=1e-5, atol=0.25 / max(self.fps, 1e-3)))

    def read_pyav(self, indices: list[int], keep: Keep) -> list[np.ndarray]:
        """The frames by PyAV: from the keyframe before each, or from the start where the file cannot be searched."""
        searchable = self._packets.timed and self._codec not in _COUNTED_CODECS
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
        """None where a search overshoots."""
        stream = _picture_stream(container, self.path)
        stream.thread_type = "AUTO"
        packets = self._packets
        shown: Any = None  # the frame on screen
        coming: Iterator[Any] = iter(())
        ahead: Any = None  # the first frame after it
        frames: list[np.ndarray] = []
        for index in indices:
            target = int(packets.pts[index])
            key = packets.keys[max(0, int(np.searchsorted(packets.keys, target, side="right")) - 1)]
            if shown is None or key > (ahead or shown).pts:
                container.seek(int(key), stream=stream)
                coming, shown = container.decode(stream), None
                ahead = next(coming, None)
            while ahead is not None and ahead.pts is not None and ahead.pts <= target:
                shown, ahead = ahead, next(coming, None)
            if shown is None or shown.pts < packets.pts[max(0, index - _SLACK)]:
                return None
            frames.append(keep(self._picture(shown)))
        return frames

    def _by_counting(self, container: Any, indices: list[int], keep: Keep) -> list[np.ndarray]:
        stream = _picture_stream(container, self.path)
        stream.thread_type = "AUTO"
        wanted = set(indices)
        frames: list[np.ndarray] = []
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                frames.append(keep(self._picture(frame)))
            if len(frames) == len(indices):
                return frames
        seconds = self.seconds[indices[len(frames)]]
        raise InputError(f"{self.path.name} is damaged: nothing can be decoded at {seconds:.1f} s.")

    def _picture(self, frame: Any) -> np.ndarray:
        picture = frame.to_ndarray(format="rgb24")
        return (
            np.rot90(picture, self.rotation // 90) if self.rotation % 90 == 0 and self.rotation else picture
        )


@functools.cache
def _decord() -> Any:
    """The decord module, silenced; None where it has no wheel (ARM, newer macOS)."""
    try:
        import decord
    except (ImportError, OSError):
        return None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _picture_stream(container: Any, path: Path) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:  # the cover of a sound file
            if stream.codec_context is None:
                raise InputError(
                    f"{path.name} is packed in a way (codec) that cannot be read; export it as H.264 in mp4."
                )
            return stream
    raise InputError(
        f"{path.name} holds no pictures{' (only sound)' if container.streams.audio else ''}; give {ALLOWED}."
    )


def _scan(container: Any, stream: Any, path: Path) -> _Packets:
    """Read through all packets without decoding any."""
    pts: list[int] = []
    keys: list[int] = []
    shown: dict[int, int] = {}
    end, timed, count = 0.0, True, 0
    for packet in container.demux():
        if not packet.size:
            continue
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is not None and packet.time_base is not None:
            end = max(end, float((moment + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index != stream.index:
            continue
        count += not packet.is_corrupt
        if packet.is_discard or packet.is_corrupt:
            continue
        timed = timed and packet.pts is not None
        pts.append(packet.pts if packet.pts is not None else len(pts))
        shown = {pts[-1]: packet.duration or 0} if not shown or pts[-1] >= next(iter(shown)) else shown
        if packet.is_keyframe:
            keys.append(pts[-1])
    if not pts:
        raise InputError(f"{path.name} holds no frames.")
    if not timed:
        pts = list(range(len(pts)))
    moments = np.unique(np.array(pts, dtype=np.int64))
    last = next(iter(shown.values())) or (int(np.median(np.diff(moments))) if len(moments) > 1 else 0)
    return _Packets(moments, np.unique(np.array(keys or pts[:1], dtype=np.int64)), last, count, end, timed)


def _ends_with(path: Path, ending: bytes) -> bool:
    with path.open("rb") as stream:
        stream.seek(-min(64, path.stat().st_size), 2)
        return stream.read().rstrip(b"\0").endswith(ending)


def _claimed_seconds(container: Any, stream: Any) -> float:
    """How long the header says that the file lasts; 0 where it says nothing."""
    whole = container.duration / av.time_base if container.duration else 0.0
    start = max(0.0, container.start_time / av.time_base) if container.start_time else 0.0
    return max(float(stream.duration * stream.time_base) if stream.duration else 0.0, whole - start)


def _clock(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 120 else f"{seconds:.1f} s"
