"""Writing is filled with what lies around it, before anything else sees a frame."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from videopath.core.choices import WritingRule
from videopath.media.masks import Masks
from videopath.media.writing.boxes import PixelBox
from videopath.media.writing.records import BurnedIn
from videopath.media.writing.search import burned_in, changed_by, filled_tracks, search_frames

_RADIUS = 4  # pixels around a point from which it is filled
_RING = 8  # pixels around a box that are looked at
_TALL = 40  # pixels; taller boxes are filled at a smaller scale, which is faster and smoother

_SAME = 6  # grey levels of noise between two frames


def mask_frames(
    frames: np.ndarray, seconds: np.ndarray, rule: WritingRule, still: bool, masks: Masks | None = None
) -> tuple[np.ndarray, BurnedIn]:
    """Find the writing in frames and fill what a rule asks for.

    Args:
        frames: Whole frames, uint8 [T,H,W,3], RGB.
        seconds: Their times, float64 [T].
        rule: Which writing is filled.
        still: Whether it is a picture, not a video.
        masks: A person's changes to what is filled, as shares of the frame.

    Returns:
        The frames, and what was found. Frames are copied only if something is filled in them; the same array
        comes back if nothing is.
    """
    size = frames.shape[2], frames.shape[1]
    tracks = changed_by(masks, search_frames(frames), range(len(frames)), size)
    result = burned_in(tracks, frames.shape, seconds, rule, still)
    filled = filled_tracks(tracks, rule)
    if not filled:
        return frames, result
    masked, filler = frames.copy(), Filler()
    for number in range(len(masked)):
        boxes = [track.boxes[number] for track in filled if number in track.boxes]
        if boxes:
            masked[number] = filler.fill(frames[number], boxes)
    return masked, result


def fill(frame: np.ndarray, boxes: Iterable[PixelBox]) -> np.ndarray:
    """Return a copy of a frame, uint8 [H,W,3], in which boxes are filled with what lies around them."""
    return Filler().fill(frame, boxes)


class Filler:
    """Fills one frame after the other; what was filled is used again as long as its surroundings stay the same."""

    def __init__(self) -> None:
        self._known: dict[PixelBox, tuple[np.ndarray, np.ndarray]] = {}

    def fill(self, frame: np.ndarray, boxes: Iterable[PixelBox]) -> np.ndarray:
        """Return a copy of a frame, uint8 [H,W,3], in which boxes are filled with what lies around them."""
        result = frame.copy()
        known = {}
        for box in boxes:
            left, top, right, bottom = box
            outer = np.s_[max(top - _RING, 0) : bottom + _RING, max(left - _RING, 0) : right + _RING]
            surroundings = result[outer].copy()
            first, start = top - max(top - _RING, 0), left - max(left - _RING, 0)
            inner = np.s_[first : first + bottom - top, start : start + right - left]
            surroundings[inner] = 0
            last = self._known.get(box)
            if last is not None and cv2.absdiff(surroundings, last[0]).max() <= _SAME:
                known[box] = last
            else:
                mask = np.zeros(surroundings.shape[:2], np.uint8)
                mask[inner] = 1
                known[box] = surroundings, _inpainted(surroundings, mask)[inner]
            result[top:bottom, left:right] = known[box][1]
        self._known = known
        return result


def _inpainted(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if mask.all():
        return np.broadcast_to(picture.mean(axis=(0, 1)).astype(np.uint8), picture.shape)
    scale = max(1, round(mask.shape[0] / _TALL))
    if scale == 1:
        return cv2.inpaint(np.ascontiguousarray(picture), mask, _RADIUS, cv2.INPAINT_TELEA)
    size = (max(1, mask.shape[1] // scale), max(1, mask.shape[0] // scale))
    # a small pixel that holds any part of the writing is filled
    covered = cv2.resize(
        cv2.dilate(mask, np.ones((2 * scale + 1,) * 2, np.uint8)), size, interpolation=cv2.INTER_NEAREST
    )
    small = cv2.inpaint(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA), covered, _RADIUS, cv2.INPAINT_TELEA
    )
    large = cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(mask[..., None].astype(bool), large, picture)
