"""One piece of writing over time: where it lies in each frame, even in frames in which the reader missed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import cv2
import numpy as np

from videopath.core.choices import WritingKind
from videopath.media.writing.boxes import PixelBox, around, like_height, same_place
from videopath.media.writing.reader import Line

_SAME_WORDS = 0.7  # ratio of the letters that agree
_LEAST_LETTERS = 4  # of words that are recognised at another place
_PRESENT = 0.35  # of the strength that the letters have where they were read
_SHORT_GAP = 2  # frames between two that show it
_DRIFT = 3  # pixels around a place in which missed letters are searched


@dataclass
class Track:
    """Writing at one place, or one that moves."""

    boxes: dict[int, PixelBox]
    """Frame number → box; frames in which it was missed at first are added later."""
    texts: dict[int, str] = field(repr=False)
    """Frame number → what was read there."""
    kind: WritingKind = "label"
    reason: str = "writing"
    cleared: bool = False
    """Whether a person asked to leave it as it is."""


def linked(lines: Sequence[Sequence[Line]]) -> list[Track]:
    """Join the lines of all frames that are the same writing: at the same place, or with the same words elsewhere."""
    tracks: list[Track] = []
    for number, frame_lines in enumerate(lines):
        for line in frame_lines:
            track = _track_of(line, number, tracks)
            if track is None:
                tracks.append(
                    Track({number: line.box}, {number: line.text}, "code" if line.is_code else "label")
                )
            elif number in track.boxes:
                track.boxes[number] = around([track.boxes[number], line.box])
                track.texts[number] = f"{track.texts.get(number, '')}\n{line.text}"
            else:
                track.boxes[number], track.texts[number] = line.box, line.text
    return tracks


def _track_of(line: Line, number: int, tracks: list[Track]) -> Track | None:
    """Return the track that a line continues; a place counts before words."""
    tracks = [track for track in tracks if (track.kind == "code") == line.is_code]
    for track in tracks:
        last = max(track.boxes)
        if same_place(line.box, track.boxes[last]) and (number - last <= 1 or _alike(line, track, last)):
            return track
    if len(line.text) < _LEAST_LETTERS:
        return None
    return next(
        (track for track in tracks if (last := max(track.boxes)) < number and _alike(line, track, last)), None
    )


def _alike(line: Line, track: Track, last: int) -> bool:
    """Return whether a line has the height and the words of a track, as far as they are known."""
    if line.is_code:
        return same_place(line.box, track.boxes[last])
    words = set(track.texts.values())
    return like_height(line.box, track.boxes[last]) and any(
        SequenceMatcher(None, line.text, text).ratio() > _SAME_WORDS for text in words
    )


def complete(track: Track, frames: np.ndarray) -> None:
    """Add the frames to a track in which the reader missed it.

    One or two frames between others that show it always count: a number must not survive in one frame of eight. Longer
    gaps, and the frames before and after, count as far as they hold the same strokes at the place.

    Args:
        track: It is changed.
        frames: uint8 [T,H,W,3].
    """
    seen = sorted(track.boxes)
    bridge(track)
    for before, after in zip(seen, seen[1:], strict=False):
        if after - before - 1 > _SHORT_GAP:
            _extend(track, frames, seen, before, range(before + 1, after))
            _extend(track, frames, seen, after, range(after - 1, before, -1))
    _extend(track, frames, seen, seen[0], range(seen[0] - 1, -1, -1))
    _extend(track, frames, seen, seen[-1], range(seen[-1] + 1, len(frames)))


def bridge(track: Track) -> None:
    """Add one or two frames in a row in which the reader missed a track, between others that show it."""
    seen = sorted(track.boxes)
    for before, after in zip(seen, seen[1:], strict=False):
        if after - before - 1 <= _SHORT_GAP:
            for number in range(before + 1, after):
                share = (number - before) / (after - before)
                track.boxes[number] = _between(track.boxes[before], track.boxes[after], share)


def missed(known: Sequence[Line], own: Sequence[Line], shown: np.ndarray, frame: np.ndarray) -> list[Line]:
    """Return the lines of another frame that the reader missed in this one: its strokes are still there.

    Args:
        known: The lines of the other frame.
        own: The lines of this frame.
        shown: The other frame, uint8 [H,W,3].
        frame: This frame.
    """
    new = [line for line in known if not any(same_place(line.box, other.box) for other in own)]
    return [line for line in new if _holds(frame, line.box, _strokes(shown, line.box))]


def _extend(track: Track, frames: np.ndarray, seen: list[int], nearest: int, others: range) -> None:
    """Add frames, in this order, as long as they hold the same strokes as a frame that shows the writing."""
    box, letters = track.boxes[nearest], None
    for number in others:
        letters = _letters(track, frames, nearest, seen) if letters is None else letters
        if not _holds(frames[number], box, letters):
            return
        track.boxes[number] = around([box, track.boxes[number]]) if number in track.boxes else box


def _between(a: PixelBox, b: PixelBox, share: float) -> PixelBox:
    """Return the box on the way from one to the other; while nothing moves, the box around both."""
    if same_place(a, b):
        return around([a, b])
    left, top, right, bottom = (round(x + share * (y - x)) for x, y in zip(a, b, strict=True))
    return left, top, right, bottom


def _letters(track: Track, frames: np.ndarray, nearest: int, seen: list[int]) -> np.ndarray:
    """Return the strokes in a box, float32 [h,w]: the mean over frames in which it stood there."""
    box = track.boxes[nearest]
    still = [n for n in seen if same_place(track.boxes[n], box)]
    return np.mean([_strokes(frames[n], box) for n in still], axis=0)


def _strokes(frame: np.ndarray, box: PixelBox, margin: int = 0) -> np.ndarray:
    """Return fine contrasts, float32 [h,w]; a margin outside of the picture repeats its border."""
    left, top, right, bottom = box
    height, width = frame.shape[:2]
    rows = np.arange(top - margin, bottom + margin).clip(0, height - 1)
    columns = np.arange(left - margin, right + margin).clip(0, width - 1)
    grey = cv2.cvtColor(frame[rows[:, None], columns], cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), max(2.0, (bottom - top) / 8))


def _holds(frame: np.ndarray, box: PixelBox, letters: np.ndarray) -> bool:
    """Return whether a frame has the same strokes in a box, shifted by _DRIFT pixels at most."""
    strength = float((letters**2).sum())
    if strength == 0:
        return False
    match = cv2.matchTemplate(_strokes(frame, box, _DRIFT), letters, cv2.TM_CCORR)
    return float(match.max()) > _PRESENT * strength
