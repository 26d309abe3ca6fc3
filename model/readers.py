"""Readers: what a source says of its frames without decoding them, and the chosen frames decoded.

decord reads by default. PyAV looks at every file first (container, stream, packet times, one decoded frame), so that
decord is only ever given files that are known to be sound; it also reads where decord is absent, fails, or disagrees
about the number, times or size of the frames. Pillow reads images and folders of frames.
"""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import av
import numpy as np
from PIL import Image, ImageOps

from videopath.core.errors import InputError
from videopath.core.files import sha256_file

Kind = Literal["video", "image", "folder"]
Reader = Literal["decord", "pyav", "pillow"]
Keep = Callable[[np.ndarray], np.ndarray]
"""What is kept of a decoded frame, uint8 [H,W,3] → [h,w,3]: the full frame is let go at once."""

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
VIDEO_SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".gif", ".mpg", ".mpeg", ".wmv", ".ts"}
ALLOWED = "mp4, mov, mkv, avi, webm, gif, a jpg, png or tif image, or a folder of such images"

_CONTAINERS = "mov,matroska,webm,avi,gif,mpeg,mpegts,asf"
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": f"{_CONTAINERS},mp4,m4a,3gp,3g2,mj2"}
_DECORD_CODECS = {"h264", "hevc", "mpeg4", "vp9", "mjpeg", "mpeg2video"}
_MAX_PIXELS = 180_000_000
_SLACK = 3
"""Frames by which a shown frame may lag behind its packet (VP8 holds packets that are never shown)."""


class Source(Protocol):
    """Something that frames can be read from."""

    path: Path
    kind: Kind
    seconds: np.ndarray
    """float64 [N], presentation time of every frame of the source, rising."""
    fps: float
    duration: float
    width: int
    height: int

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        """Decode these frames (rising, distinct numbers) and keep of each what ``keep`` returns."""

    def sha256(self) -> str:
        """Hash of the source's bytes."""


def open_source(path: Path) -> Source:
    """Find out what a path is and open it; InputError in one sentence where it is nothing that can be read."""
    path = path.expanduser().absolute()  # absolute: ffmpeg would take "http:x.mp4" for an address
    try:
        if path.is_dir():
            return FolderSource(path)
        if not path.exists():
            raise InputError(f"There is no file or folder {path}.")
        if not path.is_file():
            raise InputError(f"{path} is neither a file nor a folder; give {ALLOWED}.")
        if path.stat().st_size == 0:
            raise InputError(f"{path.name} is empty (0 bytes).")
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return ImageSource(path)
        return VideoSource(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    return sha256_file(path)


def _file_hash(path: Path) -> str:
    """SHA-256 of a file, computed once as long as its size and time of change stay."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


# --- Pillow: images and folders of frames ---------------------------------------------------------------------


class ImageSource:
    """One image: one frame at 0 s."""

    kind: Kind = "image"
    fps = 0.0
    duration = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = np.zeros(1)
        self.width, self.height = picture_size(path)

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        return [keep(read_picture(self.path)) for _ in indices], "pillow"

    def sha256(self) -> str:
        return _file_hash(self.path)


class FolderSource:
    """A folder of frames in natural order of their names ("2.png" before "10.png"), taken as one per second."""

    kind: Kind = "folder"
    fps = 1.0

    def __init__(self, path: Path) -> None:
        self.path = path
        names = [
            p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
        ]
        if not names:
            raise InputError(f"The folder {path} holds no frames (jpg, png or tif images).")
        self._files = sorted(names, key=lambda p: _natural(p.name))
        self.seconds = np.arange(len(names), dtype=np.float64)
        self.duration = float(len(names))
        self.width, self.height = picture_size(self._files[0])

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        return [keep(read_picture(self._files[i])) for i in indices], "pillow"

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(f"{file.name}\0{_file_hash(file)}\n".encode())
        return digest.hexdigest()


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as displayed, from its header."""
    with _opened(path) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF orientation: lies on its side
        return (image.height, image.width) if turned else (image.width, image.height)


def read_picture(path: Path) -> np.ndarray:
    """An image as uint8 [H,W,3] RGB, turned by its EXIF orientation, 16 bits reduced to 8, on white where transparent."""
    try:
        with _opened(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(upright))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{path.name} is damaged or cut short and cannot be read as an image.") from error


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise
        reason = (
            "is too large"
            if isinstance(error, Image.DecompressionBombError)
            else "is not an image that can be read"
        )
        raise InputError(f"{path.name} {reason}; give {ALLOWED}.") from error
    if image.width * image.height > _MAX_PIXELS:
        raise InputError(
            f"{path.name} is {image.width}×{image.height} pixels; at most {_MAX_PIXELS // 1_000_000} million can be "
            "read: export a part of it or a lower magnification."
        )
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scale = 257.0 if values.max() > 255 else 1.0
        return Image.fromarray((values / scale).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


# --- PyAV and decord: videos ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Packets:
    """The picture track's packets in the order of display."""

    pts: np.ndarray  # int64 [N]
    keys: np.ndarray  # int64 [K]: pts of the keyframes
    last: int  # ticks for which the last frame is shown
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
                self._codec = stream.codec_context.name
                first = next(container.decode(stream), None)
                if first is None:
                    raise InputError(f"{path.name} holds no picture that can be decoded.")
                self.rotation = int(first.rotation) % 360
                self._shape = (first.height, first.width)  # as stored
                container.seek(0)
                self._packets = _scan(container, stream, path)
                self._base = float(stream.time_base or 1)
                claimed = _claimed_seconds(container, stream)
                rate = stream.average_rate
        except av.FFmpegError as error:
            raise InputError(
                f"{path.name} is not a video that can be read, or it is damaged; give {ALLOWED}."
            ) from error
        self._set_times(float(rate) if rate else None)
        self._refuse_if_cut_short(claimed)
        turned = self.rotation in (90, 270)
        self.height, self.width = self._shape[::-1] if turned else self._shape

    def _container(self) -> Any:
        return av.open(str(self.path), options=_OPTIONS)

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

    def _refuse_if_cut_short(self, claimed: float) -> None:
        present = max(self.duration, self._packets.end)
        pause = float(np.diff(self.seconds).max()) if len(self.seconds) > 1 else present
        if claimed > 1.1 * present + 0.5 + pause:
            raise InputError(
                f"{self.path.name} says that it lasts {_clock(claimed)} but holds only {_clock(present)}: "
                "it is cut short or damaged; copy or export it again."
            )

    def sha256(self) -> str:
        return _file_hash(self.path)

    def read(self, indices: list[int], keep: Keep) -> tuple[list[np.ndarray], Reader]:
        frames = self.read_decord(indices, keep)
        if frames is not None:
            return frames, "decord"
        return self.read_pyav(indices, keep), "pyav"

    def read_decord(self, indices: list[int], keep: Keep) -> list[np.ndarray] | None:
        """The frames by decord; None where it is absent, fails, or sees another video than PyAV."""
        if self._codec not in _DECORD_CODECS or self.rotation or not self._packets.timed:
            return None
        decord = _decord()
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
                if frame.shape != (*self._shape, 3):
                    return None
                frames.append(keep(frame))
            return frames
        except (decord.DECORDError, RuntimeError, IndexError, AssertionError):
            return None

    def _same_times(self, stamps: np.ndarray, indices: list[int]) -> bool:
        expected = self._packets.pts[indices] * self._base
        return bool(np.allclose(stamps[:, 0], expected, rtol=1e-5, atol=0.25 / max(self.fps, 1e-3)))

    def read_pyav(self, indices: list[int], keep: Keep) -> list[np.ndarray]:
        """The frames by PyAV: from the keyframe before each, or from the start where the file cannot be searched."""
        try:
            with self._container() as container:
                frames = self._by_seeking(container, indices, keep) if self._packets.timed else None
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
            return stream
    raise InputError(
        f"{path.name} holds no pictures{' (only sound)' if container.streams.audio else ''}; give {ALLOWED}."
    )


def _scan(container: Any, stream: Any, path: Path) -> _Packets:
    """Read through all packets without decoding any."""
    pts: list[int] = []
    keys: list[int] = []
    shown: dict[int, int] = {}
    end, timed = 0.0, True
    for packet in container.demux():
        if not packet.size or packet.is_discard:
            continue
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is not None and packet.time_base is not None:
            end = max(end, float((moment + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index != stream.index or packet.is_corrupt:
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
    return _Packets(moments, np.unique(np.array(keys or pts[:1], dtype=np.int64)), last, end, timed)


def _claimed_seconds(container: Any, stream: Any) -> float:
    """How long the header says that the file lasts; 0 where it says nothing."""
    whole = container.duration / av.time_base if container.duration else 0.0
    start = max(0.0, container.start_time / av.time_base) if container.start_time else 0.0
    return max(float(stream.duration * stream.time_base) if stream.duration else 0.0, whole - start)


def _clock(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 120 else f"{seconds:.1f} s"
