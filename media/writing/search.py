"""Burned-in writing of a clip: labels, names, patient numbers, title cards, bar codes and texts of a viewer.

It may name the patient or reveal the diagnosis to the model. What it says is read and judged, but never kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.choices import WritingKind, WritingRule
from videopath.media.crop import Crop
from videopath.media.masks import Masks
from videopath.media.writing.boxes import PixelBox, around
from videopath.media.writing.judging import judge
from videopath.media.writing.reader import Line
from videopath.media.writing.records import BurnedIn, Writing
from videopath.media.writing.remembered import read_frames
from videopath.media.writing.tracks import Track, complete, linked

if TYPE_CHECKING:
    from videopath.media.clip import Clip

DRAWN = "drawn by a person"
"""The reason of a place that a person drew."""
LEFT = ", left readable as a person asked"
"""What follows the reason of a place that a person cleared."""

_MARGIN = 0.12  # of a box's height, which has a margin already: parts of letters below and above it
_SIDE_MARGIN = 0.6  # of its height: a first or last letter that was missed
_LEAST_MARGIN = 3  # pixels


def find_writing(clip: Clip, rule: WritingRule = "keep") -> BurnedIn:
    """Search all frames of a clip for writing; nothing is filled.

    Args:
        clip: The clip.
        rule: Which writing counts as filled in the result, if the frames of the clip were filled.

    Returns:
        What was found, without its text.
    """
    return burned_in(search_frames(clip.frames), clip.frames.shape, clip.seconds, rule, clip.kind == "image")


def search_frames(frames: np.ndarray) -> list[Track]:
    """Find the writing in frames, uint8 [T,H,W,3]; frame numbers of the tracks count from 0."""
    changed = [n for n in range(len(frames)) if n == 0 or not np.array_equal(frames[n], frames[n - 1])]
    read = dict(zip(changed, read_frames([frames[number] for number in changed]), strict=True))
    lines: list[list[Line]] = []
    for number in range(len(frames)):
        lines.append(read[number] if number in read else lines[-1])
    tracks = linked(lines)
    judge(tracks)
    size = frames.shape[2], frames.shape[1]
    for track in tracks:
        complete(track, frames)
        if track.kind != "code":  # its box has a margin already
            track.boxes = {number: with_margin(box, size) for number, box in sorted(track.boxes.items())}
    return tracks


def is_filled(kind: WritingKind, rule: WritingRule) -> bool:
    """Return whether a rule fills writing of this kind; a place that a person drew is filled by every rule."""
    return kind == "drawn" or rule == "mask-all" or (rule == "mask-personal" and kind != "label")


def changed_by(
    masks: Masks | None, tracks: list[Track], numbers: Iterable[int], size: tuple[int, int]
) -> list[Track]:
    """Return what was found with a person's changes: cleared places are marked, drawn ones are added.

    Args:
        masks: The changes; None for none.
        tracks: What was found.
        numbers: Numbers of the searched frames; a drawn place is in all of them.
        size: Width and height of the frames.
    """
    if masks is None:
        return tracks
    for track in tracks:
        track.cleared = masks.clears(_shares(around(list(track.boxes.values())), *size))
    places = [pixels_of(place, size) for place in masks.drawn]
    every = list(numbers)
    return tracks + [Track(dict.fromkeys(every, place), {}, "drawn", DRAWN) for place in places]


def pixels_of(place: Crop, size: tuple[int, int]) -> PixelBox:
    """Return a place as whole pixels of a frame; none that it touches is left out."""
    width, height = size
    left, top = min(int(place[0] * width), width - 1), min(int(place[1] * height), height - 1)
    right, bottom = min(math.ceil(place[2] * width), width), min(math.ceil(place[3] * height), height)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def filled_tracks(tracks: list[Track], rule: WritingRule) -> list[Track]:
    """Return the tracks that are filled by a rule, without those that a person cleared."""
    return [track for track in tracks if is_filled(track.kind, rule) and not track.cleared]


def burned_in(
    tracks: list[Track], shape: tuple[int, ...], seconds: np.ndarray, rule: WritingRule, still: bool
) -> BurnedIn:
    """Return the record of what was found, one Writing for each track, in the same order.

    Args:
        tracks: What was found.
        shape: Shape of the frames, (T, H, W, 3).
        seconds: Times of the frames, float64 [T].
        rule: Which writing is filled.
        still: Whether it is a picture, not a video.
    """
    height, width = shape[1:3]
    writings = [
        Writing(
            box=(box := _shares(around(list(track.boxes.values())), width, height)),
            seconds=sorted({float(seconds[number]) for number in track.boxes}),
            share=(box[2] - box[0]) * (box[3] - box[1]),
            kind=track.kind,
            reason=f"{track.reason}{LEFT}" if track.cleared else track.reason,
            filled=is_filled(track.kind, rule) and not track.cleared,
        )
        for track in tracks
    ]
    share = max((_covered(tracks, number, width, height) for number in range(shape[0])), default=0.0)
    sentence = sentence_on(writings, share, seconds.tolist(), still)
    return BurnedIn(writings=writings, share=share, sentence=sentence, rule=rule)


def with_margin(box: PixelBox, size: tuple[int, int]) -> PixelBox:
    """Return a box with parts of letters around it, inside of a picture of this width and height."""
    left, top, right, bottom = box
    across, down = (max(_LEAST_MARGIN, round(share * (bottom - top))) for share in (_SIDE_MARGIN, _MARGIN))
    return (
        max(left - across, 0),
        max(top - down, 0),
        min(right + across, size[0]),
        min(bottom + down, size[1]),
    )


def _shares(box: PixelBox, width: int, height: int) -> Crop:
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _covered(tracks: list[Track], number: int, width: int, height: int) -> float:
    """Return the share of a frame that boxes cover."""
    boxes = [track.boxes[number] for track in tracks if number in track.boxes]
    covered = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        covered[top:bottom, left:right] = True
    return float(covered.mean()) if boxes else 0.0


def sentence_on(writings: list[Writing], share: float, looked_at: list[float], still: bool) -> str:
    """Return what was found and what was filled, in one sentence.

    Args:
        writings: What was found.
        share: Share of the frame that it covers, in the frame with most of it.
        looked_at: Times of the searched frames.
        still: Whether it is a picture, not a video.
    """
    if not writings:
        where = "the picture" if still else f"the {len(set(looked_at))} frames looked at"
        return f"No writing was found in {where}."
    count = "1 place" if len(writings) == 1 else f"{len(writings)} places"
    covered = f"{max(share, 0.001):.1%} of the frame"
    if still:
        first = f"Writing is burned into the picture ({count}, {covered})"
    else:
        when = _spans({seconds for writing in writings for seconds in writing.seconds}, looked_at)
        first = f"Writing is burned into the frames ({count}, up to {covered}, at {when} s)"
    return f"{first}: {_outcome(writings, still)}"


def _outcome(writings: list[Writing], still: bool) -> str:
    """Say what was filled and what was left."""
    filled = [writing for writing in writings if writing.filled]
    left = len(writings) - len(filled)
    advice = "crop it out." if still else "crop it out or choose another segment."
    if not filled:
        personal = sum(writing.kind != "label" for writing in writings)
        if personal:
            return f"{personal} of {len(writings)} may name the patient, and nothing was filled; {advice}"
        return f"nothing was filled; it may name the patient or give the diagnosis away; {advice}"
    reasons = ", ".join(sorted({writing.reason for writing in filled if writing.kind != "label"}))
    because = f" ({reasons})" if reasons else ""
    said = f"{len(filled)} of {len(writings)} were filled{because} before anything else saw them"
    if not left:
        return f"{said}."
    personal = any(writing.kind != "label" for writing in writings if not writing.filled)
    danger = "name the patient or give the diagnosis away" if personal else "give the diagnosis away"
    return f"{said}; the rest may {danger}; {advice}"


def _spans(seen: set[float], looked_at: list[float]) -> str:
    """Return times as ``0.0–3.2, 9.5``; a dash means that every searched frame in between has writing."""
    spans = []
    for written, group in groupby(sorted(looked_at), seen.__contains__):
        if written:
            times = list(group)
            spans.append(f"{times[0]:.1f}–{times[-1]:.1f}" if times[-1] > times[0] else f"{times[0]:.1f}")
    return ", ".join(spans)
