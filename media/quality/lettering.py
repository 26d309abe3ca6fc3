"""Rows of letters in one picture, found by their shape. They are not read, so any alphabet works.

Letters are strokes of one width and one colour with sharp edges on an even background (Epshtein, Ofek and Wexler,
"Detecting text in natural scenes with stroke width transform", CVPR 2010). They form rows: similar heights, one baseline,
similar colours. The strokes come from a morphological top-hat of each polarity at three scales, which is much cheaper
than the stroke width transform or maximally stable regions (Matas et al., BMVC 2002; Neumann and Matas, CVPR 2012).
Connected components are linked to rows as in section 4 of Epshtein et al. Nuclei are dark, similar and crowded as well, so
whole rows are scored: a logistic regression on ten measures of a row, fitted on drawn writing against real tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

MAX_SIDE = 1920
"""Pixels; larger pictures are halved until they fit, since their writing is larger as well."""

_LEVELS = 3  # scales, each half the last one
_MIN_SIDE = 48  # pixels of the smallest scale
_STROKE = 9  # pixels; at one of the scales a stroke is thinner
_CONTRAST = 48  # grey levels between a stroke and the background next to it
_HEIGHTS = (5, 36)  # lowest and largest height of a letter in pixels, at one of the scales
_COARSE_HEIGHT = 10  # the lowest height at the coarser scales; smaller letters are found at a finer scale
_LETTERS = 3  # a row has at least so many
_EVEN = 40  # grey levels within five pixels; the background of a letter changes less
_MAX_CANDIDATES = 1500  # the strongest of a picture are kept; tissue has thousands

# measure of a row → its weight for writing
_WEIGHTS = {
    "letters": 7.05,
    "length": -1.44,
    "baseline": -4.31,
    "ground": 0.33,
    "grounds": -1.58,
    "colours": -1.29,
    "contrast": 5.41,
    "contrasts": 1.10,
    "strokes": -1.12,
    "fill": 1.75,
}
_INTERCEPT = -8.6


@dataclass(frozen=True)
class _Letters:
    """Candidates for letters, float64 [N] each, in pixels and grey levels."""

    left: np.ndarray
    top: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    area: np.ndarray
    ground: np.ndarray  # grey level of the background
    uneven: np.ndarray  # change of the background
    colour: np.ndarray  # grey level of the middle of the strokes
    contrast: np.ndarray
    stroke: np.ndarray  # width

    @property
    def height(self) -> np.ndarray:
        return self.bottom - self.top

    def take(self, which: np.ndarray) -> _Letters:
        return _Letters(**{name: values[which] for name, values in vars(self).items()})


@dataclass(frozen=True)
class LetterRows:
    """Candidate rows of one picture."""

    boxes: np.ndarray
    """float64 [N,4]: left, top, right, bottom as shares of the picture, in [0, 1]."""
    scores: np.ndarray
    """float64 [N]: logarithm of the odds that a row is writing and not tissue."""

    def above(self, score: float) -> LetterRows:
        """Return the rows with a higher score."""
        return LetterRows(self.boxes[self.scores > score], self.scores[self.scores > score])


def find_rows(picture: np.ndarray) -> LetterRows:
    """Return the rows of letters in a picture, uint8 [H,W,3] RGB; a row may be found at several scales."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    while max(grey.shape) > MAX_SIDE:
        grey = _halved(grey)
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    for level in range(_LEVELS):
        if min(grey.shape) < _MIN_SIDE:
            break
        for dark in (True, False):
            pixels, measures = measured_rows(grey, dark, _COARSE_HEIGHT if level else _HEIGHTS[0])
            boxes.append(pixels / (np.array(grey.shape[::-1] * 2, float)))
            scores.append(_scores(measures))
        grey = _halved(grey) if level + 1 < _LEVELS else grey
    return LetterRows(np.concatenate(boxes), np.concatenate(scores))


def measured_rows(grey: np.ndarray, dark: bool, lowest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return candidate rows of letters, with their measures.

    Args:
        grey: The picture, uint8 [H,W].
        dark: Whether letters are darker than the background, or brighter.
        lowest: Least height of a letter in pixels.

    Returns:
        Boxes [N,4] in pixels, and measures [N,10].
    """
    letters = _candidates(grey, dark, lowest)
    first, second = _neighbours(letters)
    count = len(letters.left)
    if not len(first):
        return np.zeros((0, 4)), np.zeros((0, len(_WEIGHTS)))
    linked = coo_matrix((np.ones(len(first)), (first, second)), (count, count))
    _, row = connected_components(linked, directed=False)
    keep = np.bincount(row)[row] >= _LETTERS
    letters, row = letters.take(keep), np.unique(row[keep], return_inverse=True)[1]
    return _boxes(letters, row), _measures(letters, row)


def _candidates(grey: np.ndarray, dark: bool, lowest: int) -> _Letters:
    """Return connected strokes with the size of letters."""
    ground = cv2.morphologyEx(
        grey, cv2.MORPH_CLOSE if dark else cv2.MORPH_OPEN, np.ones((_STROKE, _STROKE), np.uint8)
    )
    hat = cv2.absdiff(ground, grey)
    peak = cv2.dilate(hat, np.ones((11, 11), np.uint8))
    # half of the contrast nearby marks the edge of a stroke, whatever the strength of its neighbours
    mask = ((hat >= _CONTRAST) & (hat > peak // 2)).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    left, top, width, height, area = stats.T
    inside = (left > 0) & (top > 0) & (left + width < grey.shape[1]) & (top + height < grey.shape[0])
    sized = (height >= lowest) & (height <= _HEIGHTS[1]) & (width <= 4 * height) & (area >= 6)
    sized[0] = False  # the background
    chosen = np.flatnonzero(inside & sized)
    number = np.full(count, -1, np.int32)
    number[chosen] = np.arange(len(chosen))
    at = np.flatnonzero(mask)
    owner = number[labels.ravel()[at]]
    at, owner = at[owner >= 0], owner[owner >= 0]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values.ravel()[at], len(chosen)) / np.maximum(area[chosen], 1)

    square = np.ones((5, 5), np.uint8)
    core = (hat.ravel()[at] >= peak.ravel()[at] * 0.8).astype(float)
    inner = mean(cv2.erode(mask, np.ones((3, 3), np.uint8)))  # share that is no edge
    letters = _Letters(
        left=left[chosen].astype(float),
        top=top[chosen].astype(float),
        right=(left + width)[chosen].astype(float),
        bottom=(top + height)[chosen].astype(float),
        area=area[chosen].astype(float),
        ground=mean(ground),
        uneven=mean(cv2.morphologyEx(ground, cv2.MORPH_GRADIENT, square)),
        colour=np.bincount(owner, grey.ravel()[at] * core, len(chosen))
        / np.maximum(np.bincount(owner, core, len(chosen)), 1),
        contrast=mean(hat),
        stroke=2 / np.maximum(1 - inner, 0.1),
    )
    even = np.flatnonzero(letters.uneven < _EVEN)
    strongest = even[np.argsort(-letters.contrast[even], kind="stable")[:_MAX_CANDIDATES]]
    return letters.take(strongest)


def _neighbours(letters: _Letters) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of similar letters side by side on one baseline: two int arrays of indices."""
    order = np.argsort(letters.bottom, kind="stable")
    bottom = letters.bottom[order]
    reach = np.searchsorted(bottom, bottom + np.maximum(1, 0.12 * _HEIGHTS[1]), side="right")
    count = np.maximum(reach - np.arange(len(order)) - 1, 0)
    first = np.repeat(np.arange(len(order)), count)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    a, b = order[first], order[second]
    height = letters.height
    tall, low = np.maximum(height[a], height[b]), np.minimum(height[a], height[b])
    gap = np.maximum(letters.left[a], letters.left[b]) - np.minimum(letters.right[a], letters.right[b])
    alike = (gap <= 1.3 * tall) & (gap >= -0.2 * low) & (low >= 0.5 * tall)
    alike &= np.abs(letters.bottom[a] - letters.bottom[b]) <= np.maximum(1, 0.12 * tall)
    alike &= np.abs(letters.colour[a] - letters.colour[b]) < 40
    alike &= np.abs(letters.ground[a] - letters.ground[b]) < 30
    return a[alike], b[alike]


def _boxes(letters: _Letters, row: np.ndarray) -> np.ndarray:
    count = int(row.max()) + 1 if len(row) else 0
    boxes = np.tile([np.inf, np.inf, 0.0, 0.0], (count, 1))
    np.minimum.at(boxes[:, 0], row, letters.left)
    np.minimum.at(boxes[:, 1], row, letters.top)
    np.maximum.at(boxes[:, 2], row, letters.right)
    np.maximum.at(boxes[:, 3], row, letters.bottom)
    return boxes


def _measures(letters: _Letters, row: np.ndarray) -> np.ndarray:
    """Return the measures of each row in the order of _WEIGHTS: float64 [N,10], about -5 … 5."""
    members = np.bincount(row)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(row, values) / members

    def spread(values: np.ndarray) -> np.ndarray:
        return np.sqrt(mean((values - mean(values)[row]) ** 2))

    boxes = _boxes(letters, row)
    height, contrast, stroke = mean(letters.height), mean(letters.contrast), mean(letters.stroke)
    fill = letters.area / (letters.height * (letters.right - letters.left))
    columns = [
        np.log(np.minimum(members, 10)),
        np.log(np.minimum((boxes[:, 2] - boxes[:, 0]) / height, 10)),
        10 * np.minimum(spread(letters.bottom) / height, 0.15),
        np.log1p(mean(letters.uneven)),
        np.log1p(spread(letters.ground)),
        np.log1p(spread(letters.colour)),
        np.log(contrast / 100),
        10 * np.minimum(spread(letters.contrast) / contrast, 0.3),
        10 * np.minimum(spread(letters.stroke) / stroke, 0.3),
        5 * mean(fill),
    ]
    return np.stack(columns, 1)


def _scores(measures: np.ndarray) -> np.ndarray:
    return measures @ np.array(list(_WEIGHTS.values())) + _INTERCEPT


def _halved(grey: np.ndarray) -> np.ndarray:
    return cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
