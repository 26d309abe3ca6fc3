"""Where the screen may change to another kind: cuts, dissolves and black pauses. Later steps decide whether it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videopath.dataset.segments.samples import Samples

DARK = 45
"""Grey level; a sample whose brightest pixels are darker is black."""
PAUSE = 0.8
"""Seconds; a shorter black is a fade, and its middle is the change."""

_OTHER, _LEAST_OTHER = 12, 0.05  # grey levels, and the share of the picture that changes by more
_HALF_WINDOW = 0.75  # seconds around the middle of a dissolve
_CHANGED = 5.0  # grey levels between both ends of a window
_MIXED = 0.93  # share of this change that a mixture of both ends explains
_STEADY = 0.5  # correlation of successive changes
_NO_TISSUE, _MUCH_TISSUE = 0.03, 0.15  # share of the cells
_STILL = 0.08  # share of the cells that change
_LIVELY = 0.25  # of the cells; a talking head moves less
_REACH = 8  # samples
_SUDDEN = 0.6  # share of the change around a cut that lies in one sample
_LEAST_RUN, _LONGEST_CHANGE, _KNOWN = 0.9, 2.0, 0.8  # seconds
_NEAR = 0.7  # seconds; a cut so near to the middle of a fade belongs to it


@dataclass(frozen=True)
class Shot:
    """Samples from ``first`` to ``last`` (excluded) between two possible changes."""

    first: int
    last: int
    start: float
    """Seconds at which it begins; in a dissolve its middle."""
    hard: bool
    """Whether it begins with a cut."""
    weak: bool = False
    """Whether its beginning was found only because something begins or ends to move."""


def shots_of(samples: Samples) -> list[Shot]:
    """Return the shots between cuts, dissolves and black pauses, in order and without gaps."""
    fades = [*_blinks(samples), *_dissolves(samples)]
    sudden: list[int] = []
    for number in samples.cuts:
        if not _differs(samples, number):
            continue
        gradual = _gradual(samples, number)
        if gradual is None:
            sudden.append(number)
        elif all(abs(gradual - other) > _NEAR for other in fades):
            fades.append(gradual)
    cuts = [float(samples.seconds[number]) for number in sudden]
    weak = []
    for middle in (*_emptied(samples), *_stops(samples)):
        if all(abs(middle - other) > _KNOWN for other in (*fades, *cuts)):
            fades.append(middle)
            weak.append(middle)
    changes = {number: (seconds, True) for number, seconds in zip(sudden, cuts, strict=True)}
    for number, (seconds, _) in list(changes.items()):
        if any(abs(seconds - middle) <= _NEAR for middle in fades):
            del changes[number]
    for first, last in _pauses(samples):
        changes[first] = float(samples.seconds[first]), True
        if last < len(samples):
            changes[last] = float(samples.seconds[last]), True
    for middle in fades:
        number = int(np.searchsorted(samples.seconds, middle))
        if 0 < number < len(samples) and number not in changes:
            changes[number] = middle, False
    changes.pop(0, None)
    numbers = [0, *sorted(changes), len(samples)]
    return [
        Shot(
            first, last, *(changes[first] if first else (0.0, True)), first > 0 and changes[first][0] in weak
        )
        for first, last in zip(numbers, numbers[1:], strict=False)
    ]


def _gradual(samples: Samples, number: int) -> float | None:
    """Return the middle of a change that takes longer than one sample, or None for a true cut."""
    before, after = max(0, number - _REACH), min(len(samples) - 1, number + _REACH)
    step = np.abs(samples.glimpse[number].astype(np.float32) - samples.glimpse[number - 1]).mean()
    whole = np.abs(samples.glimpse[after].astype(np.float32) - samples.glimpse[before]).mean()
    return _middle(samples, before, after) if step < _SUDDEN * whole else None


def _middle(samples: Samples, before: int, after: int) -> float | None:
    """Return when the picture is half of one sample and half of a later one; None if they are alike."""
    low, high = samples.glimpse[before].astype(np.float32), samples.glimpse[after].astype(np.float32)
    change = high - low
    if float(np.abs(change).mean()) < _CHANGED:
        return None
    parts = samples.glimpse[before : after + 1].astype(np.float32) - low
    share = (parts * change).sum(axis=(1, 2, 3)) / float((change * change).sum())
    crossing = int(np.argmax(share >= 0.5))  # the last sample has a share of 1
    span = share[crossing] - share[crossing - 1]
    part = (0.5 - share[crossing - 1]) / span if span > 0 else 1.0
    first, last = samples.seconds[before + crossing - 1], samples.seconds[before + crossing]
    return float(first + part * (last - first))


def _differs(samples: Samples, number: int) -> bool:
    """Return whether a cut changes more of the screen than the end of a pan does."""
    before, after = (samples.glimpse[i].astype(np.int16) for i in (number - 1, number))
    return float((np.abs(after - before).max(axis=-1) > _OTHER).mean()) >= _LEAST_OTHER


def _dark_runs(samples: Samples) -> list[tuple[int, int]]:
    dark = np.concatenate([[False], samples.bright < DARK, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(dark))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _length(samples: Samples, run: tuple[int, int]) -> float:
    first, last = run
    if last == len(samples):
        return float("inf") if first == 0 else PAUSE  # an end in black is a pause
    return float(samples.seconds[last] - samples.seconds[first])


def _pauses(samples: Samples) -> list[tuple[int, int]]:
    return [run for run in _dark_runs(samples) if _length(samples, run) >= PAUSE]


def _blinks(samples: Samples) -> list[float]:
    """Return the middles of short blacks, through which one picture fades into another."""
    runs = [run for run in _dark_runs(samples) if run[0] > 0 and _length(samples, run) < PAUSE]
    return [float(samples.seconds[first] + samples.seconds[last]) / 2 for first, last in runs]


def _dissolves(samples: Samples) -> list[float]:
    """Return the middles of dissolves: there the picture is half of what is before it and half of what follows."""
    seconds = samples.seconds
    mixture = np.zeros(len(seconds))
    share = np.zeros(len(seconds))
    for number, now in enumerate(seconds):
        before = int(np.searchsorted(seconds, now - _HALF_WINDOW))
        after = int(np.searchsorted(seconds, now + _HALF_WINDOW, side="right")) - 1
        if after - before < 4 or before == number or after == number:
            continue
        low, middle, high = (samples.glimpse[i].astype(np.float32).ravel() for i in (before, number, after))
        change = high - low
        if float(np.abs(change).mean()) < _CHANGED:
            continue
        share[number] = float((middle - low) @ change / (change @ change))
        rest = middle - low - share[number] * change
        mixture[number] = 1 - float(rest @ rest) / float(change @ change)
    steady = np.maximum(samples.steady, np.append(samples.steady[1:], 0.0))
    half = (mixture > _MIXED) & (share > 0.25) & (share < 0.75) & (steady > _STEADY)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], half, [False]]).astype(np.int8)))
    return [
        float(np.interp(0.5, share[first:last], seconds[first:last]))
        if np.all(np.diff(share[first:last]) > 0)
        else float(seconds[first] + seconds[last - 1]) / 2
        for first, last in zip(edges[::2], edges[1::2], strict=True)
        if last - first >= 2
    ]


def _emptied(samples: Samples) -> list[float]:
    """Return where tissue gives way to a still screen without tissue, or the other way round, in whatever manner."""
    none = _long_runs(samples, (samples.tissue < _NO_TISSUE) & (samples.moved < _LIVELY))
    much = _long_runs(samples, samples.tissue > _MUCH_TISSUE)
    found = []
    for first, last in none:
        for from_, to in much:
            gap = (to, first) if to <= first else (last, from_)
            seconds = samples.seconds[gap[0] - 1 : gap[1] + 1]
            if gap[0] <= gap[1] and seconds[-1] - seconds[0] < _LONGEST_CHANGE:
                level = samples.tissue[gap[0] - 1 : gap[1] + 1]
                half = int(np.argmin(np.abs(level - level.max() / 2)))
                found.append(float(seconds[half]))
    return found


def _long_runs(samples: Samples, holds: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [run for run in runs if samples.seconds[run[1] - 1] - samples.seconds[run[0]] >= _LEAST_RUN]


def _stops(samples: Samples) -> list[float]:
    """Return where a moving picture gives way to a still one that looks otherwise, or the other way round."""
    moving = samples.moved > _STILL
    found = []
    for first, last in _long_runs(samples, samples.moved < _STILL / 2):
        before, after = moving[max(0, first - _REACH) : first], moving[last : last + _REACH]
        if len(before) == _REACH and before.mean() > 0.5:
            found.append(_middle(samples, first - _REACH, min(first + 2, last - 1)))
        if len(after) == _REACH and after.mean() > 0.5:
            found.append(_middle(samples, max(last - 3, first), last + _REACH - 1))
    return [middle for middle in found if middle is not None]
