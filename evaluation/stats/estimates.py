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
        """Return the share of true values; (0, 0, 1) if there is no value."""
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
    """Patients, slides or fields that the questions come from. With one cluster the interval is the whole range."""

    @classmethod
    def of(cls, values: Sequence[float], clusters: Sequence[str], least: float = 0.0) -> Estimate:
        """Estimate the mean of values.

        Args:
            values: One value per question, in [``least``, 1].
            clusters: The cluster of each value.
            least: The smallest possible value: 0, or -1 for differences.

        Raises:
            InputError: There is no value.
        """
        from scipy.stats import binomtest, bootstrap

        if not len(values):
            raise InputError("No question can be evaluated. Use more of the data.")
        _, cluster_of = np.unique(np.asarray(clusters), return_inverse=True)
        totals = np.bincount(cluster_of, weights=np.asarray(values, float))
        counts = np.bincount(cluster_of).astype(float)
        mean = float(np.mean(values))
        if len(totals) < 2:
            return cls(mean, least, 1.0, len(values), len(totals))
        if mean in (
            least,
            1.0,
        ):  # every draw is the same; Wilson (JASA 1927) shows what so few clusters leave open
            share = round((mean - least) / (1.0 - least) * len(totals))
            interval = binomtest(share, len(totals)).proportion_ci(method="wilson")
            low, high = (least + (1.0 - least) * float(end) for end in (interval.low, interval.high))
            return cls(mean, low, high, len(values), len(totals))
        interval_of_draws = bootstrap(
            (totals, counts),
            _ratio,
            paired=True,
            vectorized=True,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(_SEED),
        ).confidence_interval
        return cls(
            mean, float(interval_of_draws.low), float(interval_of_draws.high), len(values), len(totals)
        )

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def equal_coverage(
    answered: np.ndarray,
    right: np.ndarray,
    other_confidence: np.ndarray,
    other_right: np.ndarray,
    clusters: np.ndarray,
) -> Estimate | None:
    """Compare two systems at equal coverage: accuracy when answered, the first system less the second.

    The second system gives out as many answers as the first one, its surest ones.

    Args:
        answered: Questions that the first system answered, bool [n].
        right: Questions on which the first system is right, bool [n].
        other_confidence: Confidence of the second system, float [n].
        other_right: Questions on which the second system is right, bool [n].
        clusters: Patients, slides or fields, str [n]. The bootstrap draws whole clusters.

    Returns:
        The difference in [-1, 1] with its interval, or None if the first system answered nothing.
    """
    count = int(answered.sum())
    if not count:
        return None
    selected = np.zeros(len(answered), bool)
    selected[np.argsort(-other_confidence, kind="stable")[:count]] = True
    gains = (answered & right).astype(float) - (selected & other_right)
    names, cluster_of = np.unique(clusters, return_inverse=True)
    totals, counts = (np.bincount(cluster_of, weights=part) for part in (gains, answered.astype(float)))
    value = float(totals.sum() / counts.sum())
    draws = np.random.default_rng(_SEED).multinomial(len(names), [1 / len(names)] * len(names), _RESAMPLES)
    drawn_counts = draws @ counts
    filled = drawn_counts > 0
    differences = (draws @ totals)[filled] / drawn_counts[filled]
    if len(names) < 2:
        return Estimate(value, -1.0, 1.0, len(answered), len(names))
    low, high = np.percentile(differences, [2.5, 97.5]).clip(-1, 1)
    return Estimate(value, float(low), float(high), len(answered), len(names))


def _ratio(totals: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the mean over questions of drawn clusters."""
    return totals.sum(axis=axis) / counts.sum(axis=axis)
