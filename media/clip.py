"""Clips: the sampled frames of a video, image or folder of frames, with their times.

Inputs are videos (mp4, mov, mkv, avi, webm, gif), images (jpg, png, tif, bmp, webp, heic, avif) and folders of frames.
An animated image or a TIFF with several pages is read as a video. Only the sampled frames are kept in memory, so a long
video needs no more memory than a short one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from videopath.core.choices import (
    MAX_CLIP_FRAMES,
    SAMPLINGS,
    WRITING_RULES,
    Sampling,
    SourceKind,
    WritingRule,
)
from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path, screened_errors, screened_path
from videopath.core.text import refuse_unwritable
from videopath.media.crop import Crop
from videopath.media.foreign import read_head, refuse_foreign
from videopath.media.image.files import is_picture
from videopath.media.image.samples import fitted
from videopath.media.image.source import (
    ALLOWED,
    IMAGE_SUFFIXES,
    FolderSource,
    FrameSource,
    ImageSource,
    Reader,
)
from videopath.media.masks import Masks
from videopath.media.sampling import (
    candidate_indices,
    choose_keyframes,
    thumbnail,
    training_fps_indices,
    uniform_indices,
)
from videopath.media.video.source import video_source

if TYPE_CHECKING:
    from videopath.media.writing.records import BurnedIn

MIN_SIDE = 16
"""Smallest width and height in pixels that can show anything."""
MAX_BYTES = 1 << 30
"""Bytes of all frames of a clip; larger clips are scaled down while they are read (32 frames of 4K still fit)."""
_ROUNDING = 0.001  # seconds by which a rounded moment may lie before its frame
_NEAR = 0.25  # seconds to the frames that are searched beside a single one


@dataclass(frozen=True, eq=False)
class Clip:
    """The sampled frames of one video, image or folder of frames, with their origin."""

    path: Path
    """The file or folder; a name that holds a person's data is screened (:mod:`videopath.core.privacy.paths`)."""
    frames: np.ndarray
    """uint8 [T,H,W,3], RGB, rotated as displayed; native resolution, unless all frames would exceed MAX_BYTES."""
    seconds: np.ndarray
    """float64 [T], presentation times."""
    indices: np.ndarray
    """int64 [T], frame numbers in the source."""
    fps: float
    """Average frames per second of the source; 0 for a single image, 1 for a folder."""
    duration: float
    """Seconds from the start of the first frame to the end of the last; 0 for a single image."""
    width: int
    """Pixels of the source as displayed (after rotation, before any crop)."""
    height: int
    total_frames: int
    sha256: str
    """Hash of the file's bytes; for a folder, of the names and hashes of its frames."""
    sampling: Sampling
    kind: SourceKind
    reader: Reader
    notes: tuple[str, ...] = ()
    """Sentences about anything unusual in how the source was read."""
    writing: BurnedIn | None = None
    """The writing that touches the crop, and what of it was filled; None if it was kept, and not searched."""

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, positions: Sequence[int] | np.ndarray) -> Clip:
        """Return the same clip with only the frames at these positions.

        Args:
            positions: Indices from 0 to ``len(clip) - 1``; they may repeat.

        Raises:
            InputError: A position lies outside of the clip, or there is none.
        """
        chosen = np.asarray(positions, dtype=np.int64)
        if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= len(self):
            raise InputError(
                f"Frame positions must lie in 0 … {len(self) - 1} and not be empty, got {chosen.tolist()}."
            )
        return replace(
            self, frames=self.frames[chosen], seconds=self.seconds[chosen], indices=self.indices[chosen]
        )


def open_clip(
    path: str | Path,
    frames: int = 32,
    start: float | None = None,
    end: float | None = None,
    sampling: Sampling = "uniform",
    *,
    crop: Crop | None = None,
    writing: WritingRule = "keep",
    masks: Masks | None = None,
) -> Clip:
    """Sample frames of a video, image or folder of frames.

    Args:
        path: The file or folder.
        frames: Frames to sample, from 1 to 1024.
        start: First second of the segment; default: the beginning.
        end: Last second of the segment, inclusive; default: the end.
        sampling: ``uniform`` returns exactly ``frames`` frames, evenly spread; frames of a short video repeat. ``fps``
            returns about one frame per second, at most ``frames``. ``keyframes`` returns at most ``frames`` frames that
            differ and show sharp tissue. A single image always gives one frame.
        crop: The part of each frame to keep, as shares; it is cut at native resolution.
        writing: Which burned-in writing is filled: ``mask-all``, ``mask-personal``, or ``keep`` for none. It is searched
            in the whole frames, before they are cropped; ``Clip.writing`` says what was found.
        masks: A person's changes to what is filled, as shares of the whole frame.

    Returns:
        The clip.

    Raises:
        InputError: The source is missing, unreadable, cut short or without frames, or an argument is wrong.
    """
    _check_arguments(frames, start, end, sampling, crop, writing)
    masks = _checked_masks(masks)
    source = open_source(Path(path))
    with screened_errors(source.path):
        return _clip_of(source, frames, start, end, sampling, crop, writing, masks)


def _clip_of(
    source: FrameSource,
    frames: int,
    start: float | None,
    end: float | None,
    sampling: Sampling,
    crop: Crop | None,
    writing: WritingRule,
    masks: Masks | None,
) -> Clip:
    if min(source.width, source.height) < MIN_SIDE:
        raise InputError(
            f"{source.path.name} is {source.width}×{source.height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed."
        )
    span = _span(source, start, end)
    chosen = span[_sample(source, span, frames, sampling)]
    distinct, positions = np.unique(chosen, return_inverse=True)
    searched = writing != "keep" or masks is not None
    cut = None if searched else crop  # words that a crop cuts through are read in the whole frame
    pictures, reader = source.read(distinct.tolist(), _keeper(source, len(chosen), cut))
    stacked, found = np.stack(pictures), None
    if searched:
        stacked, found = _masked(stacked, source.seconds[distinct], writing, masks, crop, source.kind)
    return Clip(
        path=screened_path(source.path),
        frames=stacked[positions] if len(distinct) < len(chosen) else stacked,
        seconds=source.seconds[chosen],
        indices=chosen,
        fps=source.fps,
        duration=source.duration,
        width=source.width,
        height=source.height,
        total_frames=len(source.seconds),
        sha256=source.sha256(),
        sampling=sampling,
        kind=source.kind,
        reader=reader,
        notes=source.notes,
        writing=found,
    )


def open_moment(
    path: str | Path, second: float, crop: Crop | None, writing: WritingRule, masks: Masks | None = None
) -> Clip:
    """Open the frame that is on screen at a moment, with its writing filled.

    Frames shortly before and after it are searched as well, since writing may be missed in a single frame.

    Args:
        path: The file or folder.
        second: The moment.
        crop: The part of the frame to keep, as shares.
        writing: Which writing is filled.
        masks: A person's changes to what is filled.

    Raises:
        InputError: As for :func:`open_clip`.
    """
    masks = _checked_masks(masks)
    if writing == "keep" and masks is None:
        return open_clip(path, 1, second, second + _ROUNDING, crop=crop)
    clip = open_clip(path, 1, second, second + _ROUNDING)
    frames, seconds = [clip.frames[0]], [float(clip.seconds[0])]
    if clip.kind == "video":
        for moment in (seconds[0] - _NEAR, seconds[0] + _NEAR):
            if 0 <= moment <= clip.duration:
                near = open_clip(path, 1, moment, moment + _ROUNDING)
                frames.append(near.frames[0])
                seconds.append(float(near.seconds[0]))
    order = np.argsort(seconds, kind="stable")
    masked, found = _masked(
        np.stack(frames)[order], np.array(seconds)[order], writing, masks, crop, clip.kind
    )
    own = int(np.flatnonzero(order == 0)[0])
    return replace(clip, frames=masked[own : own + 1], writing=found)


def open_source(path: Path) -> FrameSource:
    """Open a video, image or folder of frames, by its content.

    Args:
        path: The file or folder, under its own name or its screened one.

    Returns:
        The source. Its ``path`` is the file's own; to name it to others, use ``screened_path``.

    Raises:
        InputError: The path is missing, or it is nothing that can be read. A person's data in its name is screened.
    """
    refuse_unwritable(path, "the video")
    path = find_path(path.expanduser().absolute())  # absolute: ffmpeg would take "http:x.mp4" for an address
    with screened_errors(path):
        return _source(path)


def _source(path: Path) -> FrameSource:
    try:
        if path.is_dir():
            return FolderSource(path)
        if not path.exists():
            raise InputError(f"There is no file or folder {path}.")
        if not path.is_file():
            raise InputError(f"{path} is neither a file nor a folder; give {ALLOWED}.")
        head = read_head(path)  # raises if the file may not be read
        if not head:
            raise InputError(f"{path.name} is empty (0 bytes).")
        refuse_foreign(path, head)
        gif = head.startswith(b"GIF8")
        if is_picture(head) or (path.suffix.lower() in IMAGE_SUFFIXES and not gif):
            return ImageSource(path)
        return video_source(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_arguments(
    frames: int, start: float | None, end: float | None, sampling: str, crop: Crop | None, writing: str
) -> None:
    if not (isinstance(frames, Integral) and 1 <= frames <= MAX_CLIP_FRAMES):
        raise InputError(
            f"The number of frames must be a whole number from 1 to {MAX_CLIP_FRAMES}, not {frames!r}."
        )
    if sampling not in SAMPLINGS:
        raise InputError(f"The sampling {sampling!r} is not known; use one of: {', '.join(SAMPLINGS)}.")
    if writing not in WRITING_RULES:
        raise InputError(
            f"The rule {writing!r} for writing is not known; use one of: {', '.join(WRITING_RULES)}."
        )
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (isinstance(value, Real) and math.isfinite(value) and value >= 0):
            raise InputError(f"The {name} must be a number of seconds, 0 or more, not {value!r}.")
    if start is not None and end is not None and end < start:
        raise InputError(f"The end ({end:g} s) lies before the start ({start:g} s).")
    if crop is not None and not (
        len(crop) == 4 and 0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1
    ):
        raise InputError(
            f"A crop must be (left, top, right, bottom) with 0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1, not {crop}."
        )


def _checked_masks(masks: Masks | None) -> Masks | None:
    """Return masks as shares; None if they change nothing."""
    if not masks:
        return None
    if masks.in_pixels:
        raise InputError("Masks must be given as shares of the frame, from 0 to 1.")
    return masks


def _span(source: FrameSource, start: float | None, end: float | None) -> np.ndarray:
    """Return the frames shown between start and end, int64 [N], N ≥ 1; if none begins there, the frame on screen."""
    times = source.seconds
    if source.kind == "image":
        return np.zeros(1, dtype=np.int64)
    if start is not None and start > max(source.duration, float(times[-1])):
        raise InputError(
            f"The start ({start:g} s) lies after the end of {source.path.name} ({source.duration:.6g} s)."
        )
    first = 0 if start is None else int(np.searchsorted(times, start - 1e-6, side="left"))
    last = len(times) if end is None else int(np.searchsorted(times, end + 1e-6, side="right"))
    if first >= last:
        on_screen = min(max(last - 1, 0), len(times) - 1)
        return np.array([on_screen], dtype=np.int64)
    return np.arange(first, last, dtype=np.int64)


def _sample(source: FrameSource, span: np.ndarray, frames: int, sampling: Sampling) -> np.ndarray:
    """Return the sampled positions in ``span``."""
    if source.kind == "image":
        return np.zeros(1, dtype=np.int64)
    if sampling == "uniform":
        return uniform_indices(len(span), frames)
    if sampling == "fps":
        return training_fps_indices(len(span), source.fps, frames_upbound=frames)
    candidates = candidate_indices(len(span), frames)
    thumbnails, _ = source.read(span[candidates].tolist(), thumbnail)
    return candidates[choose_keyframes(thumbnails, frames)]


def _keeper(source: FrameSource, count: int, crop: Crop | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that crops a decoded frame, and scales it down if ``count`` frames would exceed MAX_BYTES.

    If frames differ in size, each keeps its own proportions on the source's canvas.
    """

    def keep(frame: np.ndarray) -> np.ndarray:
        frame = fitted(frame, source.width, source.height)
        height, width = frame.shape[:2]
        if crop is not None:
            frame = cropped(frame[None], crop)[0]
            height, width = frame.shape[:2]
        scale = math.sqrt(MAX_BYTES / (count * height * width * 3))
        if scale < 1:
            size = (max(1, int(width * scale)), max(1, int(height * scale)))
            return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(frame)

    return keep


def _masked(
    frames: np.ndarray,
    seconds: np.ndarray,
    rule: WritingRule,
    masks: Masks | None,
    crop: Crop | None,
    kind: SourceKind,
) -> tuple[np.ndarray, BurnedIn]:
    """Fill the writing of whole frames, uint8 [T,H,W,3], and crop them; return what was found in the crop."""
    from videopath.media.writing.cropping import touching
    from videopath.media.writing.mask import mask_frames

    still = kind == "image"
    masked, found = mask_frames(frames, seconds, rule, still, masks)
    if crop is None:
        return masked, found
    return np.ascontiguousarray(cropped(masked, crop)), touching(found, crop, seconds.tolist(), still)


def cropped(frames: np.ndarray, crop: Crop) -> np.ndarray:
    """Return a view of a part of frames, uint8 [T,H,W,3]; it is at least 16 pixels wide and high."""
    left, right = _cut(crop[0], crop[2], frames.shape[2])
    top, bottom = _cut(crop[1], crop[3], frames.shape[1])
    return frames[:, top:bottom, left:right]


def _cut(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the pixel range of a share of one side; it has at least MIN_SIDE pixels if the side has as many."""
    first, last = round(low * size), round(high * size)
    missing = min(MIN_SIDE, size) - (last - first)
    if missing > 0:
        first = min(max(0, first - missing // 2), size - min(MIN_SIDE, size))
        last = first + min(MIN_SIDE, size)
    return first, last
