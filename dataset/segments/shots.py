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


def shots_of(samples: Samples) -> list[Shot]:
    """Return the shots between cuts, dissolves and black pauses, in order and without gaps."""
    changes: dict[int, tuple[float, bool]] = {}
    soft = [*_blinks(samples), *_dissolves(samples)]
    for number in samples.cuts:
        seconds = float(samples.seconds[number])
        if _differs(samples, number) and all(abs(seconds - middle) > _NEAR for middle in soft):
            changes[number] = seconds, True
    for first, last in _pauses(samples):
        changes[first] = float(samples.seconds[first]), True
        if last < len(samples):
            changes[last] = float(samples.seconds[last]), True
    for middle in soft:
        number = int(np.searchsorted(samples.seconds, middle))
        if 0 < number < len(samples) and number not in changes:
            changes[number] = middle, False
    changes.pop(0, None)
    numbers = [0, *sorted(changes), len(samples)]
    return [
        Shot(first, last, *(changes[first] if first else (0.0, True)))
        for first, last in zip(numbers, numbers[1:], strict=False)
    ]


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
