"""The field of a slide view: the part of the frame that shows the slide, without a viewer's chrome.

Tissue moves when the slide or the zoom changes; toolbars, panels, borders and the black around an eyepiece stay. The
field is the rectangle that holds most of what moves and least of what stays, and whose sides lie on straight edges that
stay, or on the border of the frame: empty glass at its edge belongs to it. If nothing moves, stained texture counts
instead of motion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from videopath.media.crop import Crop

BY_COLOUR = "colour and stain"
"""How this module finds a field, for the record."""
LONG_SIDE = 640
"""Long side in pixels of the pictures that a field is searched in."""
LOOKED_AT = 40
"""Frames of a case that are looked at."""

_QUANTILE = 0.1  # of the frames at either end are left out: a cursor passes in fewer
_MOVED = 9.0  # grey levels
_EDGE = 4  # grey levels of an edge that stays
_STAYS = 0.3  # quantile of the frames in which an edge has at least this strength
_LEAST_LINE = 0.12  # share of the side along which a line must be seen
_LINES = 22  # lines in each direction that are tried
_LEAST_SIDE = 0.15  # of the frame
_LEAST_MOVED = 0.03  # share of the frame; otherwise nothing moves
_LIGHT, _COLOURED = 190, 12  # grey level of glass; difference of the channels in stained tissue
_GLASS, _PANEL, _CHROME, _STILL_TISSUE, _OTHER_MOTION = 0.03, -0.12, -1.0, -0.3, -0.5
"""What a pixel adds to the field: as light as the slide's glass, less light, anything else that stays, still tissue, and a
smooth part that moves, such as a speaker's camera."""
_LIKE_GLASS = 8  # grey levels by which a channel may be darker than the lightest parts of what moves
_BLACK = 45  # grey level of the black around an eyepiece, at most
_CORNER, _ROUND = (
    0.05,
    0.95,
)  # of its box: the corners that are black; share of its convex hull that a lens fills
_LINE_WORTH, _BORDER_WORTH = 0.05, 0.6  # of a side on a line; of the frame's border, as share of a line

_THUMB_AREA = (0.003, 0.16)  # of the field
_THUMB_SIDE = 0.06  # of the field's height and width, at least
_THUMB_SHAPE = (0.3, 3.2)  # width by height
_THUMB_FULL, _THUMB_LINE = 0.75, 0.5  # share of its box that stays; share of its sides that are lines


@dataclass(frozen=True)
class FieldBox:
    """Where the slide is."""

    crop: Crop
    """Shares of the recording's frame."""
    thumbnails: tuple[Crop, ...]
    """Overviews that a viewer draws into the field; shares of the recording's frame."""
    by: str = BY_COLOUR


def small(picture: np.ndarray) -> np.ndarray:
    """Scale a picture, uint8 [H,W,3], down to a long side of LONG_SIDE."""
    height, width = picture.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def find_field(pictures: Sequence[np.ndarray]) -> FieldBox:
    """Find the field of a case.

    Args:
        pictures: Small pictures of the whole frame, evenly spread over the case, uint8 [h,w,3], all of one size.

    Returns:
        The field; the whole frame if nothing else can be told from the slide.
    """
    stack = np.stack(pictures)
    seen = _Seen.of(stack)
    box = _lens(stack) or _best_rectangle(seen)
    shape = stack.shape[1:3]
    return FieldBox(_shares(box, shape), tuple(_shares(one, shape) for one in _thumbnails(seen, box)))


def thumbnails_in(pictures: Sequence[np.ndarray], field: Crop) -> tuple[Crop, ...]:
    """Return the overviews that a viewer draws into a field that is known; pictures as for :func:`find_field`."""
    stack = np.stack(pictures)
    height, width = stack.shape[1:3]
    left, top, right, bottom = (
        round(share * side) for share, side in zip(field, (width, height) * 2, strict=True)
    )
    found = _thumbnails(_Seen.of(stack), (left, top, max(right, left + 1), max(bottom, top + 1)))
    return tuple(_shares(one, (height, width)) for one in found)


def sharpened(crop: Crop, pictures: Sequence[np.ndarray]) -> Crop:
    """Move the sides of a field that was found in small pictures onto the edges of pictures in full size.

    Args:
        crop: The field.
        pictures: A few frames of the case, uint8 [H,W,3].

    Returns:
        The field, in whole pixels of these pictures.
    """
    green = np.stack([picture[..., 1] for picture in pictures])
    height, width = green.shape[1:]
    reach = 2 + round(max(height, width) / LONG_SIDE)
    left, top, right, bottom = (
        round(share * side) for share, side in zip(crop, (width, height) * 2, strict=True)
    )
    inner = green[:, top:bottom]
    left, right = _nearest_edge(inner, left, reach, 1), _nearest_edge(inner, right, reach, -1)
    turned = green[:, :, left:right].transpose(0, 2, 1)
    top, bottom = _nearest_edge(turned, top, reach, 1), _nearest_edge(turned, bottom, reach, -1)
    return left / width, top / height, right / width, bottom / height


@dataclass(frozen=True)
class _Seen:
    """What stays and what moves, in small pictures."""

    worth: np.ndarray
    """What each pixel adds to the field, float32 [h,w]."""
    moved: np.ndarray
    """bool [h,w]."""
    upright: np.ndarray
    """Edges that stay between a column and the one before it, bool [h,w]."""
    level: np.ndarray
    """Edges that stay between a row and the one before it, bool [h,w]."""
    parts: list[tuple[int, int, int, int]]
    """Boxes around what moves."""
    moves: bool
    """Whether motion tells the field."""

    @classmethod
    def of(cls, stack: np.ndarray) -> _Seen:
        ordered = np.sort(stack[..., 1], axis=0)
        last = len(stack) - 1
        low, high = ordered[round(_QUANTILE * last)], ordered[round((1 - _QUANTILE) * last)]
        spread = cv2.blur((high - low).astype(np.float32), (3, 3))
        usual = np.median(stack[:: max(1, len(stack) // 15)], axis=0).astype(np.uint8)
        raw = _closed(spread > _MOVED, 9)
        moved = _opened(raw, 13)
        moves = float(moved.mean()) >= _LEAST_MOVED
        shown = moved if moves else _opened(_closed(_stained(usual), 9), 13)
        thinned = stack[:: max(1, len(stack) // 8)]
        glass = np.percentile(thinned[:, shown], 97, axis=(0, 1)) if shown.any() else np.full(3, 255.0)
        return cls(
            worth=_worth(usual, shown, glass, moves),
            moved=raw,
            upright=_stays(np.abs(np.diff(stack[..., 1].astype(np.int16), axis=2, prepend=0)), raw, 1),
            level=_stays(np.abs(np.diff(stack[..., 1].astype(np.int16), axis=1, prepend=0)), raw, 0),
            parts=_parts(shown),
            moves=moves,
        )


def _worth(usual: np.ndarray, shown: np.ndarray, glass: np.ndarray, moves: bool) -> np.ndarray:
    """Return what each pixel adds to the field, float32 [h,w]; ``glass`` [3] is the colour of empty glass."""
    low = usual.min(axis=-1)
    grey = cv2.cvtColor(usual, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    near = cv2.dilate(shown.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool)
    hard = (steps > 40).astype(np.uint8)
    straight = [cv2.morphologyEx(hard, cv2.MORPH_OPEN, np.ones(run, np.uint8)) for run in ((1, 41), (41, 1))]
    letters = np.where(straight[0].astype(bool) | straight[1].astype(bool), 0, hard)
    plain = cv2.blur(letters.astype(np.float32), (15, 15)) < 0.05
    light = (low > _LIGHT) & (plain | near)
    worth = np.full(grey.shape, _CHROME, np.float32)
    worth[light] = _PANEL
    worth[light & (usual >= glass - _LIKE_GLASS).all(axis=-1)] = _GLASS
    if moves:
        worth[_stained(usual) & ~light] = _STILL_TISSUE
    worth[shown] = 1.0
    if moves:
        worth[shown & _foreign(usual)] = _OTHER_MOTION
    return worth


def _stained(picture: np.ndarray) -> np.ndarray:
    """Return where a picture has colour and texture, bool [h,w]."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 6
    colour = (picture.max(axis=-1).astype(np.int16) - picture.min(axis=-1)) > _COLOURED
    return cv2.blur((steps & colour & (grey > 30)).astype(np.float32), (11, 11)) > 0.45


def _foreign(picture: np.ndarray) -> np.ndarray:
    """Return where a moving part is smooth over a wide area and not light: a speaker's camera, not tissue."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 6
    return (cv2.blur(steps.astype(np.float32), (21, 21)) < 0.1) & (grey < _LIGHT)


def _stays(steps: np.ndarray, moved: np.ndarray, axis: int) -> np.ndarray:
    """Return edges, bool [h,w], that most frames have, or at which motion ends.

    Args:
        steps: Differences of neighbours in each frame, int16 [N,h,w].
        moved: bool [h,w].
        axis: The axis of the differences.
    """
    number = round(_STAYS * (len(steps) - 1))
    edges = np.partition(steps, number, axis=0)[number] > _EDGE
    edges |= np.diff(moved.astype(np.int8), axis=axis, prepend=0) != 0
    return edges


def _lens(stack: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the box around the round field of an eyepiece, or None if there is none."""
    lit = _opened(stack.max(axis=(0, 3)) > _BLACK, 13)  # a cursor in the black is not part of it
    contours, _ = cv2.findContours(lit.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    x, y, w, h = cv2.boundingRect(largest)
    if w * h < _LEAST_SIDE * lit.size or cv2.contourArea(largest) < _ROUND * cv2.contourArea(
        cv2.convexHull(largest)
    ):
        return None
    a, b = max(1, int(_CORNER * w)), max(1, int(_CORNER * h))
    box = lit[y : y + h, x : x + w]
    corners = (box[:b, :a], box[:b, -a:], box[-b:, :a], box[-b:, -a:])
    return None if any(corner.mean() > 0.2 for corner in corners) else (x, y, x + w, y + h)


def _best_rectangle(seen: _Seen) -> tuple[int, int, int, int]:
    height, width = seen.worth.shape
    columns = _lines(seen.upright, [x for part in seen.parts for x in (part[0], part[2])])
    rows = _lines(seen.level.T, [y for part in seen.parts for y in (part[1], part[3])])
    sums = cv2.integral(seen.worth) / seen.worth.size  # [h+1, w+1]
    spans_x = [(a, b) for a in columns for b in columns if b - a >= _LEAST_SIDE * width]
    spans_y = [(a, b) for a in rows for b in rows if b - a >= _LEAST_SIDE * height]
    x0, x1 = np.array(spans_x).T
    y0, y1 = np.array(spans_y)[:, :, None].transpose(1, 0, 2)
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]  # [rows, columns]
    upright, level = _support(seen.upright), _support(seen.level.T)
    sides = upright(x0, y0, y1) + upright(x1, y0, y1) + level(y0, x0, x1) + level(y1, x0, x1)
    best = int((inside + _LINE_WORTH * sides).argmax())
    row, column = divmod(best, len(spans_x))
    return spans_x[column][0], spans_y[row][0], spans_x[column][1], spans_y[row][1]


def _lines(edges: np.ndarray, others: list[int]) -> list[int]:
    """Return the columns of an edge map that may be a side of the field, with both borders."""
    width = edges.shape[1]
    strength = _thick(edges).mean(axis=0)
    peaks = [
        x
        for x in range(2, width - 1)
        if strength[x] >= _LEAST_LINE and strength[x] == strength[max(0, x - 2) : x + 3].max()
    ]
    peaks = sorted(peaks, key=lambda x: -strength[x])[:_LINES]
    return sorted({0, width, *peaks, *others})


def _support(edges: np.ndarray) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that tells which share of a side at x, from y0 to y1, is an edge that stays."""
    width = edges.shape[1]
    sums = np.zeros((edges.shape[0] + 1, width + 1), np.float32)
    sums[1:, :-1] = np.cumsum(_thick(edges), axis=0)

    def share(x: np.ndarray, y0: np.ndarray, y1: np.ndarray) -> np.ndarray:
        counted = (sums[y1, x] - sums[y0, x]) / np.maximum(y1 - y0, 1)
        return np.where((x == 0) | (x == width), _BORDER_WORTH, counted)

    return share


def _thick(edges: np.ndarray) -> np.ndarray:
    """Return an edge map in which an edge may lie one column beside its place, float32 [h,w]."""
    return cv2.dilate(edges.astype(np.uint8), np.ones((1, 3), np.uint8)).astype(np.float32)


def _thumbnails(seen: _Seen, field: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """Return the pictures in a moving field that stay and have straight sides."""
    if not seen.moves:
        return []
    left, top, right, bottom = field
    inner = np.s_[top:bottom, left:right]
    still = _opened(_closed(~seen.moved[inner], 9), 9)
    # one on glass that stays as well is told by its outline
    outlines = _closed((seen.upright | seen.level)[inner], 3)
    found: list[tuple[int, int, int, int]] = []
    for mask in (still, outlines):
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        for x, y, w, h, _ in stats[1:].tolist():
            box = left + x, top + y, left + x + w, top + y + h
            stays = _shaped((w, h), still.shape) and still[y : y + h, x : x + w].mean() >= _THUMB_FULL
            if stays and _has_sides(seen, box, field) and not any(_meet(box, other) for other in found):
                found.append(box)
    return [
        (max(left, x - 2), max(top, y - 2), min(right, u + 2), min(bottom, v + 2)) for x, y, u, v in found
    ]


def _shaped(size: tuple[int, int], field: tuple[int, ...]) -> bool:
    """Return whether a box has the size and the shape of a thumbnail in a field of this height and width."""
    share = size[0] * size[1] / (field[0] * field[1])
    return (
        _THUMB_AREA[0] <= share <= _THUMB_AREA[1]
        and _THUMB_SHAPE[0] <= size[0] / size[1] <= _THUMB_SHAPE[1]
        and min(size[0] / field[1], size[1] / field[0]) >= _THUMB_SIDE
    )


def _meet(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])


def _has_sides(seen: _Seen, box: tuple[int, int, int, int], field: tuple[int, int, int, int]) -> bool:
    left, top, right, bottom = box
    sides = []
    for x, outer in ((left, field[0]), (right, field[2])):
        near = seen.upright[top:bottom, max(0, x - 3) : x + 4].any(axis=1)
        sides.append(abs(x - outer) <= 3 or near.mean() >= _THUMB_LINE)
    for y, outer in ((top, field[1]), (bottom, field[3])):
        near = seen.level[max(0, y - 3) : y + 4, left:right].any(axis=0)
        sides.append(abs(y - outer) <= 3 or near.mean() >= _THUMB_LINE)
    return all(sides)


def _nearest_edge(green: np.ndarray, at: int, reach: int, inwards: int) -> int:
    """Return the column near ``at`` where the picture changes most along the whole side, in most frames."""
    width = green.shape[2]
    if at in (0, width):
        return at
    first, last = max(1, at - reach), min(width - 1, at + reach)
    part = green[:, :, first - 1 : last + 1].astype(np.int16)
    steps = np.median(np.abs(np.diff(part, axis=2)), axis=0).mean(axis=0)  # [columns from first to last]
    best = int(steps.argmax())
    if steps[best] < _EDGE:
        return at
    # the soft edge of a compressed or scaled picture lies outside
    soft = best
    while (
        0 <= soft + inwards < len(steps)
        and abs(soft + inwards - best) <= 1
        and steps[soft + inwards] > 0.5 * steps[best]
    ):
        soft += inwards
    return first + soft


def _parts(shown: np.ndarray) -> list[tuple[int, int, int, int]]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(shown.astype(np.uint8))
    large = [part for part in stats[1:].tolist() if part[4] >= 0.01 * shown.size]
    boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in sorted(large, key=lambda part: -part[4])[:4]]
    if len(boxes) > 1:
        boxes.append(
            (
                min(b[0] for b in boxes),
                min(b[1] for b in boxes),
                max(b[2] for b in boxes),
                max(b[3] for b in boxes),
            )
        )
    return boxes


def _shares(box: tuple[int, int, int, int], shape: tuple[int, int]) -> Crop:
    height, width = shape
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _closed(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)).astype(
        bool
    )


def _opened(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8)).astype(
        bool
    )
