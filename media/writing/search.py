"""Burned-in writing: labels, names, patient numbers, title cards and texts of a viewer in the frames.

It may name the patient or reveal the diagnosis to the model. Writing is found, but never read. A row that could also be
tissue counts only if it stays at its place from frame to frame, as overlays do and moving tissue does not (Lienhart and
Effelsberg, "Automatic text segmentation and text recognition for video indexing", 2000).
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
from scipy.sparse.csgraph import connected_components

from videopath.media.clip import Clip
from videopath.media.crop import Crop
from videopath.media.quality.lettering import LetterRows, find_rows
from videopath.media.writing.records import BurnedIn, Writing

SEARCHED_FRAMES = 32
"""Frames of a clip that are searched, evenly spread."""

_CERTAIN = 4.5  # a row's score that is enough by itself in a video, which has many rows of cells
_LIKELY = 2.0  # enough on a single picture, or if another frame has a row at the same place
_POSSIBLE = -1.0  # enough on a line with such a row
_MARGIN = 0.4  # of a row's height: parts of letters below and above it
_WORD_GAP = 2.4  # of a row's height, between words of one line
_LIKE_HEIGHT = 1.8  # largest ratio of heights on one line, such as "no" and "Diagnosis"
_MOVED = 0.5  # rows at the same place have a larger intersection over union


def find_writing(clip: Clip) -> BurnedIn:
    """Search up to SEARCHED_FRAMES frames of a clip for writing.

    Writing on a plate or an even background is nearly always found. Directly on tissue, it is found in two of three
    pictures if it has an outline, and in one of three if not. Letters below about 7 pixels, one or two single letters,
    and handwriting are missed.
    """
    _, distinct = np.unique(clip.indices, return_index=True)
    chosen = distinct[
        np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), SEARCHED_FRAMES), dtype=int))
    ]
    rows = [find_rows(clip.frames[i]).above(_POSSIBLE) for i in chosen]
    aspect = clip.frames.shape[2] / clip.frames.shape[1]
    seen = [
        (float(clip.seconds[i]), _lines(own.boxes, _certain(own, rows[:n] + rows[n + 1 :]), aspect))
        for n, (i, own) in enumerate(zip(chosen, rows, strict=True))
    ]
    writings = _over_time(seen)
    share = max(sum(_area(box) for box in boxes) for _, boxes in seen)
    return BurnedIn(
        writings=writings,
        share=min(share, 1.0),
        sentence=_sentence(writings, share, [seconds for seconds, _ in seen], clip.kind == "image"),
    )


def _certain(own: LetterRows, others: list[LetterRows]) -> np.ndarray:
    """Return which rows of a frame are writing, bool [N]; a likely row needs one at the same place in another frame."""
    likely = own.scores > _LIKELY
    if not others:
        return likely
    elsewhere = np.concatenate([rows.above(_LIKELY).boxes for rows in others])
    return (own.scores > _CERTAIN) | likely & (_overlaps(own.boxes, elsewhere) > _MOVED).any(1)


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes [N,4] and [M,4]: [N,M]."""
    shared = np.prod(_shared_sides(a, b), axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


def _shared_sides(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return width and height of the intersections, [N,M,2]; 0 without an intersection."""
    first, last = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.maximum(last - first, 0)


def _lines(rows: np.ndarray, certain: np.ndarray, aspect: float) -> list[Crop]:
    """Return the lines of a frame that hold a certain row, with a margin; words of one line become one box."""
    height = rows[:, 3] - rows[:, 1]
    reach = np.stack([height * _WORD_GAP / 2 / aspect, np.zeros(len(rows))], 1)
    margin = np.stack([height * _MARGIN / aspect, height * _MARGIN], 1)
    wide = np.concatenate([rows[:, :2] - reach, rows[:, 2:] + reach], 1)
    boxes = np.concatenate([rows[:, :2] - margin, rows[:, 2:] + margin], 1).clip(0, 1)
    return [_around(boxes[group]) for group in _touching(wide) if certain[group].any()]


def _touching(boxes: np.ndarray) -> list[np.ndarray]:
    """Group the indices of boxes of similar height that overlap, directly or through others."""
    height = boxes[:, 3] - boxes[:, 1]
    near = (_shared_sides(boxes, boxes) > 0).all(-1)
    near &= np.maximum.outer(height, height) < _LIKE_HEIGHT * np.minimum.outer(height, height)
    count, group = connected_components(near, directed=False)
    return [np.flatnonzero(group == number) for number in range(count)]


def _over_time(seen: list[tuple[float, list[Crop]]]) -> list[Writing]:
    """Join the boxes of all frames that have about the same place; in the order in which they appear."""
    places: list[tuple[list[Crop], list[float]]] = []
    for seconds, boxes in seen:
        for box in boxes:
            for known, times in places:
                if _same_place(box, known[-1]):
                    known.append(box)
                    times.append(seconds)
                    break
            else:
                places.append(([box], [seconds]))
    return [
        Writing(box=(around := _around(np.array(boxes))), seconds=sorted(set(times)), share=_area(around))
        for boxes, times in places
    ]


def _same_place(a: Crop, b: Crop) -> bool:
    """Return whether most of the smaller box lies in the other; a word may be missed in one of the frames."""
    return float(np.prod(_shared_sides(np.array([a]), np.array([b])))) > 0.6 * min(_area(a), _area(b))


def _around(boxes: np.ndarray) -> Crop:
    left, top = boxes[:, :2].min(0).tolist()
    right, bottom = boxes[:, 2:].max(0).tolist()
    return left, top, right, bottom


def _area(box: Crop) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _sentence(writings: list[Writing], share: float, looked_at: list[float], still: bool) -> str:
    if not writings:
        where = "the picture" if still else f"the {len(looked_at)} frames looked at"
        return f"No writing was found in {where}."
    count = "1 place" if len(writings) == 1 else f"{len(writings)} places"
    covered = f"{max(share, 0.001):.1%} of the frame"
    risk = "it may name the patient or give the diagnosis away"
    if still:
        return f"Writing is burned into the picture ({count}, {covered}): {risk}; crop it out."
    when = _spans({seconds for writing in writings for seconds in writing.seconds}, looked_at)
    return (
        f"Writing is burned into the frames ({count}, up to {covered}, at {when} s): {risk}; "
        "crop it out or choose another segment."
    )


def _spans(seen: set[float], looked_at: list[float]) -> str:
    """Return times as ``0.0–3.2, 9.5``; a dash means that every searched frame in between has writing."""
    spans = []
    for written, group in groupby(sorted(looked_at), seen.__contains__):
        if written:
            times = list(group)
            spans.append(f"{times[0]:.1f}–{times[-1]:.1f}" if len(times) > 1 else f"{times[0]:.1f}")
    return ", ".join(spans)
