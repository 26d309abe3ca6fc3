"""The cursor of a screen recording: found by its own motion against the slide's, and filled with what lies around it.

A cursor is a small shape that looks the same again and again while the tissue below it changes, and it moves otherwise than
the slide. First shapes are collected that differ from the frames before and after, after the slide's own motion was taken
out. Those that recur become templates; the pixels that stay the same over different tissue are the cursor. It is then
looked for in each frame. A shape must recur, and have black, white or glaring pixels: otherwise nothing is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from videopath.media.quality.appearance import highest, lowest
from videopath.media.writing.reader import PixelBox

Triplet = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A frame with one shortly before and one shortly after it, uint8 [h,w,3] each."""

_DIFFERS = 28  # levels of a channel by which a cursor differs from the slide below it
_SIDES = (5, 56)  # pixels of a cursor
_LEAST_AREA = 14  # pixels
_MOST_CANDIDATES = 6  # in one frame, the largest; more is noise of a zoom or a cut
_SEEDS = 16  # candidates that are tried as the cursor's shape
_WINDOW = 72  # pixels around a candidate in which its shape is looked for
_ALIKE, _ROUGHLY_ALIKE = 40.0, 60.0  # root mean square of levels between a template and a cursor
_UNLIKE, _CLEARLY = 1.15, 1.3
"""Times this distance, at least, at any other place of the frame; tissue has many similar places."""
_FIRST_ALIKE = 45.0  # the same before the template is sharpened
_LEAST_SEEN = 4  # frames
_LEAST_SHARE = 0.12  # of the frames that were compared
_STAYS_SAME = 22.0  # levels by which a pixel of the cursor changes over different tissue
_PLACES, _APART = 3, 12  # places in the frame where a cursor was seen, and pixels between them; a label stays
_SAME_PLACE = 20.0  # mean difference in levels at a place where something stays
_MOTION_SIDE = 480  # pixels of the longer side of the pictures in which the slide's motion is measured
_OFTEN = 0.3  # of the frames in which a pixel of a cursor differs from the slide, at least
_REACH = 40  # pixels around a part of a cursor in which the rest of it is searched
_TEMPLATES = 3
_MARGIN = 4  # pixels around a template's shape that are filled, for its soft edge
_RADIUS = 4  # pixels from which it is filled


@dataclass(frozen=True)
class Template:
    """How a cursor looks."""

    picture: np.ndarray
    """uint8 [h,w,3]."""
    mask: np.ndarray
    """Its pixels, uint8 [h,w]: 0 or 1."""


@dataclass(frozen=True)
class _Candidate:
    """Something small that moves by itself."""

    triplet: int
    place: tuple[int, int]
    """Left and top of its window in the frame."""
    box: PixelBox
    """Where it is in the frame."""
    window: np.ndarray
    """uint8 [h,w,3], what lies around it."""
    picture: np.ndarray
    mask: np.ndarray


def find_cursors(triplets: Sequence[Triplet]) -> list[Template]:
    """Learn how the cursors of a recording look.

    Args:
        triplets: Frames of the recording, all of one size.

    Returns:
        Templates, the commonest first; none if nothing small moves by itself and looks the same again and again.
    """
    differs = [_differs(triplet) for triplet in triplets]
    candidates = [
        one
        for number, triplet in enumerate(triplets)
        for one in _candidates(number, triplet[1], differs[number])
        if not _stays(one, triplets)
    ]
    found: list[Template] = []
    while candidates and len(found) < _TEMPLATES:
        best: list[tuple[_Candidate, tuple[int, int]]] = []
        worth = 0.0
        for seed in _seeds(candidates):
            same = _supporters(seed, candidates)
            seen = len({one.triplet for one, _ in same})
            # a part of a large cursor is found more often than the whole
            own = seen * float(seed.mask.sum()) ** 0.5
            if own > worth and seen >= max(_LEAST_SEEN, _LEAST_SHARE * len(triplets)) and _moves(same):
                best, chosen, worth = same, seed, own
        if not best:
            break
        template = _sharpened(chosen, best, triplets, differs)
        if template is not None:
            found.append(template)
        explained = {id(one) for one, _ in best}
        candidates = [one for one in candidates if id(one) not in explained]
    return found


def cursor_boxes(frame: np.ndarray, templates: Sequence[Template]) -> list[tuple[PixelBox, Template]]:
    """Return where cursors are in a frame, uint8 [h,w,3]; at most one of each template."""
    found: list[tuple[PixelBox, Template]] = []
    for template in templates:
        height, width = template.mask.shape
        if height > frame.shape[0] or width > frame.shape[1]:
            continue
        distance, (x, y), others = _nearest(frame, template.picture, template.mask)
        clear = _CLEARLY if distance > _ALIKE else _UNLIKE
        if distance <= _ROUGHLY_ALIKE and others >= clear * distance:
            found.append(((x, y, x + width, y + height), template))
    return found


def without_cursor(frame: np.ndarray, found: Sequence[tuple[PixelBox, Template]]) -> np.ndarray:
    """Return a copy of a frame in which cursors are filled with what lies around them."""
    filled = frame.copy()
    for box, template in found:
        pad = _MARGIN + 2 * _RADIUS
        left, top = max(0, box[0] - pad), max(0, box[1] - pad)
        part = filled[top : box[3] + pad, left : box[2] + pad]
        mask = np.zeros(part.shape[:2], np.uint8)
        y, x = box[1] - top, box[0] - left
        mask[y : y + template.mask.shape[0], x : x + template.mask.shape[1]] = template.mask
        wide = cv2.dilate(mask, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
        part[:] = cv2.inpaint(np.ascontiguousarray(part), wide, _RADIUS, cv2.INPAINT_TELEA)
    return filled


def _differs(triplet: Triplet) -> np.ndarray:
    """Return where a frame differs from the ones before and after it, after the slide's motion, uint8 [h,w]: 0 or 1."""
    before, now, after = triplet
    differs: np.ndarray = np.full(now.shape[:2], 255, np.uint8)
    for other in (before, after):
        aligned, valid = _aligned(other, now)
        # a slight error of the alignment is no difference: compare with the range around a pixel
        low, high = cv2.erode(aligned, np.ones((3, 3))), cv2.dilate(aligned, np.ones((3, 3)))
        outside = highest(cv2.max(cv2.subtract(now, high), cv2.subtract(low, now)))
        differs = np.minimum(differs, outside) * valid
    return (differs > _DIFFERS).astype(np.uint8)


def _candidates(number: int, now: np.ndarray, differs: np.ndarray) -> list[_Candidate]:
    mask = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    found = []
    for label in np.argsort(-stats[1:, cv2.CC_STAT_AREA]) + 1:
        x, y, w, h, area = stats[label].tolist()
        if area < _LEAST_AREA or max(w, h) > _SIDES[1] or max(w, h) < _SIDES[0]:
            continue
        picture = now[y : y + h, x : x + w]
        if not _glares(picture):
            continue
        top, left = max(0, y + h // 2 - _WINDOW // 2), max(0, x + w // 2 - _WINDOW // 2)
        window = now[top : top + _WINDOW, left : left + _WINDOW]
        found.append(
            _Candidate(
                number,
                (left, top),
                (x, y, x + w, y + h),
                window,
                picture,
                (labels[y : y + h, x : x + w] == label).astype(np.uint8),
            )
        )
        if len(found) == _MOST_CANDIDATES:
            break
    return found


def _glares(picture: np.ndarray) -> bool:
    """Return whether a patch has black or white beside its contrary, or a colour that no stain has."""
    high, low = highest(picture).astype(int), lowest(picture).astype(int)
    neutral = high - low < 40
    white, black = (neutral & (low > 200)).sum(), (neutral & (high < 75)).sum()
    pure = ((high > 190) & (low < 80)).sum()
    return bool((white >= 4 and black >= 4) or black >= 12 or pure >= 10)


def _aligned(other: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move a frame by the slide's motion, so that it lies on another one; and where it has a picture, bool [h,w]."""
    height, width = now.shape[:2]
    motion = _motion(other, now)
    aligned = cv2.warpAffine(
        other, motion, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(
        np.ones((height, width), np.uint8), motion, (width, height), flags=cv2.INTER_NEAREST
    )
    return aligned, inside.astype(bool)


def _motion(other: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return the shift, turn and zoom from one frame to another, float [2,3]; the identity if it cannot be told."""
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    scale = min(1.0, _MOTION_SIDE / max(now.shape[:2]))
    a, b = (
        cv2.resize(
            cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        for one in (other, now)
    )
    points = cv2.goodFeaturesToTrack(a, 200, 0.01, 10)
    if points is None or len(points) < 12:
        return still
    start = np.zeros_like(points)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(a, b, points, start, winSize=(21, 21), maxLevel=3)
    good = status.ravel() == 1
    if good.sum() < 12:
        return still
    motion, inliers = cv2.estimateAffinePartial2D(
        points[good] / scale, moved[good] / scale, ransacReprojThreshold=1.5 / scale
    )
    return still if motion is None or inliers.sum() < 0.3 * good.sum() else motion


def _stays(one: _Candidate, triplets: Sequence[Triplet]) -> bool:
    """Return whether a candidate is at the same place a little earlier or later: it is a label or a part of the viewer."""
    left, top, right, bottom = one.box
    for number in (one.triplet - 2, one.triplet - 1, one.triplet + 1, one.triplet + 2):
        if 0 <= number < len(triplets):
            there = triplets[number][1][top:bottom, left:right].astype(np.int16)
            if np.abs(there - one.picture)[one.mask.astype(bool)].mean() < _SAME_PLACE:
                return True
    return False


def _moves(same: Sequence[tuple[_Candidate, tuple[int, int]]]) -> bool:
    """Return whether a shape was seen at several places of the frame; a label stays while the slide moves below it."""
    places: list[np.ndarray] = []
    for one, at in same:
        place = np.add(one.place, at)
        if all(np.abs(place - other).max() > _APART for other in places):
            places.append(place)
    return len(places) >= _PLACES


def _seeds(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return some candidates that are tried as the cursor's shape, from all over the recording."""
    positions = np.linspace(0, len(candidates) - 1, min(_SEEDS, len(candidates))).round().astype(int)
    return [candidates[position] for position in positions]


def _supporters(
    seed: _Candidate, candidates: Sequence[_Candidate]
) -> list[tuple[_Candidate, tuple[int, int]]]:
    """Return the candidates that look like a seed, each with the place of the seed's shape in its window."""
    found = []
    for one in candidates:
        if one.window.shape[0] < seed.mask.shape[0] or one.window.shape[1] < seed.mask.shape[1]:
            continue
        distance, place, _ = _nearest(one.window, seed.picture, seed.mask)
        if distance <= _FIRST_ALIKE:
            found.append((one, place))
    return found


def _nearest(
    picture: np.ndarray, template: np.ndarray, mask: np.ndarray
) -> tuple[float, tuple[int, int], float]:
    """Return how far a template's pixels are from a picture at the most similar place, root mean square of levels.

    Returns:
        The distance, the place (x, y), and the distance at the next place, without colour; infinite if there is none.
    """
    grey, like = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float32) for one in (picture, template))
    result = cv2.matchTemplate(grey, like, cv2.TM_SQDIFF, mask=mask.astype(np.float32))
    _, _, (x, y), _ = cv2.minMaxLoc(result)
    part = picture[y : y + mask.shape[0], x : x + mask.shape[1]].astype(np.float32)
    off = (part - template)[mask.astype(bool)]
    half = np.array(mask.shape) // 2 + 1
    result[max(0, y - half[0]) : y + half[0] + 1, max(0, x - half[1]) : x + half[1] + 1] = np.inf
    rest = result[np.isfinite(result)]
    other = float(np.sqrt(max(0.0, float(rest.min())) / mask.sum())) if rest.size else np.inf
    return float(np.sqrt((off**2).mean())), (int(x), int(y)), other


def _sharpened(
    seed: _Candidate,
    same: Sequence[tuple[_Candidate, tuple[int, int]]],
    triplets: Sequence[Triplet],
    differs: Sequence[np.ndarray],
) -> Template | None:
    """Return what is the same in all supporters and often differs from the slide: the seed's shape and its other parts."""
    height, width = seed.mask.shape
    patches, differences = [], []
    for one, at in same:
        frame = triplets[one.triplet][1]
        x, y = np.add(one.place, at) - _REACH
        columns = np.arange(x, x + width + 2 * _REACH).clip(0, frame.shape[1] - 1)
        rows = np.arange(y, y + height + 2 * _REACH).clip(0, frame.shape[0] - 1)
        patches.append(frame[rows[:, None], columns])
        differences.append(differs[one.triplet][rows[:, None], columns])
    stack = np.stack(patches).astype(np.float32)
    usual = np.median(stack, axis=0)
    steady = np.median(np.abs(stack - usual), axis=0).max(axis=-1) < _STAYS_SAME
    mask = _joined(steady & (np.mean(differences, axis=0) >= _OFTEN), np.pad(seed.mask, _REACH))
    if not mask.any() or max(_extent(mask)) > _SIDES[1]:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture, mask = usual[part].astype(np.uint8), mask[part]
    if mask.sum() < _LEAST_AREA or not _glares(picture):
        return None
    return Template(picture, mask)


def _joined(pixels: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return the parts of a mask that touch a shape, without gaps, uint8 [h,w]."""
    closed = cv2.morphologyEx(pixels.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    full: np.ndarray = np.zeros_like(closed)
    for contour in contours:
        part = cv2.drawContours(np.zeros_like(closed), [contour], -1, 1, -1)
        if (part & shape).any():
            full = full | part
    return full


def _extent(mask: np.ndarray) -> tuple[int, int]:
    return int(mask.any(axis=1).sum()), int(mask.any(axis=0).sum())


def read_triplets(
    read: Callable[[list[int]], list[np.ndarray]],
    times: np.ndarray,
    indices: Sequence[int],
    apart: float = 0.12,
) -> list[Triplet]:
    """Read frames with their neighbours.

    Args:
        read: Reads frames by number; numbers rise.
        times: Presentation times of all frames, float64 [N].
        indices: Frames to read.
        apart: Seconds to a neighbour, at least.
    """
    triplets = []
    for index in indices:
        before = int(np.searchsorted(times, times[index] - apart, side="right")) - 1
        after = int(np.searchsorted(times, times[index] + apart))
        if before >= 0 and after < len(times):
            first, now, last = read([before, index, after])
            triplets.append((first, now, last))
    return triplets
