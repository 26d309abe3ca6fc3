"""Estimates with 95% intervals: means over groups, shares, and differences at equal coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videopath.core.errors import InputError

_RESAMPLES = 2000
_SEED = 4


@dataclass(frozen=True)
class Share:
    """A share with its 95% interval (Wilson, JASA 1927)."""

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, hits: Sequence[bool]) -> Share:
        """The share of true values; (0, 0, 1) of none."""
        from scipy.stats import binomtest

        if not hits:
            return cls(0.0, 0.0, 1.0, 0)
        interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
        return cls(sum(hits) / len(hits), float(interval.low), float(interval.high), len(hits))

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f}, n={self.count})"


@dataclass(frozen=True)
class Estimate:
    """A mean over questions with its 95% interval, from a bootstrap over clusters."""

    value: float
    low: float
    high: float
    questions: int
    clusters: int
    """Patients, slides or fields that the questions come from; of one alone the interval is the whole range."""

    @classmethod
    def of(cls, values: Sequence[float], clusters: Sequence[str], least: float = 0.0) -> Estimate:
        """The mean of values in [``least``, 1], the cluster of each beside it. Raises ``InputError`` for none."""
        from scipy.stats import binomtest, bootstrap

        if not len(values):
            raise InputError("There is no question that could be evaluated: use more of the data.")
        _, places = np.unique(np.asarray(clusters), return_inverse=True)
        totals = np.bincount(places, weights=np.asarray(values, float))
        counts = np.bincount(places).astype(float)
        mean = float(np.mean(values))
        if len(totals) < 2:
            return cls(mean, least, 1.0, len(values), len(totals))
        if mean in (
            least,
            1.0,
        ):  # every draw is the same: what so few clusters leave open (Wilson, JASA 1927)
            share = round((mean - least) / (1.0 - least) * len(totals))
            interval = binomtest(share, len(totals)).proportion_ci(method="wilson")
            low, high = (least + (1.0 - least) * float(end) for end in (interval.low, interval.high))
            return cls(mean, low, high, len(values), len(totals))
        drawn = bootstrap(
            (totals, counts),
            _ratio,
            paired=True,
            vectorized=True,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(_SEED),
        ).confidence_interval
        return cls(mean, float(drawn.low), float(drawn.high), len(values), len(totals))

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def equal_coverage(
    given: np.ndarray,
    right: np.ndarray,
    other_sure: np.ndarray,
    other_right: np.ndarray,
    clusters: np.ndarray,
) -> Estimate | None:
    """Right of the answers that were given, one system less another that gives out as many of its surest ones.

    Args:
        given: Questions that the first system answered, bool [n].
        right: Questions that it is right about, bool [n].
        other_sure: How sure the other one is, float [n].
        other_right: Questions that the other one is right about, bool [n].
        clusters: Patients, slides or fields, str [n]: whole ones are drawn.

    Returns:
        The difference in [-1, 1] with its interval; none where the first system answered nothing.
    """
    count = int(given.sum())
    if not count:
        return None
    chosen = np.zeros(len(given), bool)
    chosen[np.argsort(-other_sure, kind="stable")[:count]] = True
    gains = (given & right).astype(float) - (chosen & other_right)
    names, places = np.unique(clusters, return_inverse=True)
    total, answered = (np.bincount(places, weights=part) for part in (gains, given.astype(float)))
    value = float(total.sum() / answered.sum())
    drawn = np.random.default_rng(_SEED).multinomial(len(names), [1 / len(names)] * len(names), _RESAMPLES)
    counts = drawn @ answered
    differences = (drawn @ total)[counts > 0] / counts[counts > 0]
    if len(names) < 2:
        return Estimate(value, -1.0, 1.0, len(given), len(names))
    low, high = np.percentile(differences, [2.5, 97.5]).clip(-1, 1)
    return Estimate(value, float(low), float(high), len(given), len(names))


def _ratio(totals: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean over questions where whole clusters were drawn."""
    return totals.sum(axis=axis) / counts.sum(axis=axis)
