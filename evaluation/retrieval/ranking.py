"""Figures of ranked lists: recall, success, reciprocal rank and nDCG by trec_eval, with intervals over patients.

The measures are those of trec_eval (Buckley and Voorhees) as ``pytrec_eval`` binds it (Van Gysel and de Rijke,
SIGIR 2018). All are taken over the first :data:`DEPTH` places:

- ``recall@k``: hits among the first k over min(k, relevant records). A diagnosis often has hundreds of records and no
  list of k can hold them all; so that 1 is always possible, recall is capped at k. Where at least k records are
  relevant it is the same as precision@k.
- ``success@k``: whether at least one of the first k is relevant.
- ``mrr@10``: 1 / place of the first relevant record; 0 where the first ten hold none.
- ``ndcg@10``: Järvelin and Kekäläinen (TOIS 2002) with gain 1 for a relevant record; the ideal list is full of them.

Questions about one patient, slide or field are not independent: the 95% intervals are percentiles of a bootstrap that
draws whole patients (or groups), and a difference is that of the same questions asked in two ways.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videopath.core.errors import InputError
from videopath.core.installing import require

CUTS = (1, 5, 10)
DEPTH = 10
METRICS: tuple[str, ...] = (
    *(f"recall@{cut}" for cut in CUTS),
    *(f"success@{cut}" for cut in CUTS),
    "mrr@10",
    "ndcg@10",
)

_RESAMPLES = 2000
_SEED = 4


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


@dataclass(frozen=True)
class Ranked:
    """A question's values, and which cluster it belongs to."""

    cluster: str
    values: dict[str, float]
    """Name of the metric → value in [0, 1]."""


def judged(
    rankings: Mapping[str, Sequence[str]],
    relevant: Mapping[str, Collection[str]],
    clusters: Mapping[str, str],
) -> dict[str, Ranked]:
    """Question → its values. ``rankings``: question → ids, best first; those beyond ten are not looked at.

    Questions with no relevant record have no value and are left out.
    """
    require("pytrec_eval", "pytrec-eval-terrier", "benchmark", "An evaluation of retrieval")
    from pytrec_eval import RelevanceEvaluator

    asked = {question: list(ids)[:DEPTH] for question, ids in rankings.items() if relevant.get(question)}
    if not asked:
        return {}
    evaluator = RelevanceEvaluator(
        {question: dict.fromkeys(relevant[question], 1) for question in asked},
        {f"P.{_CUT_LIST}", f"success.{_CUT_LIST}", "recip_rank", "ndcg_cut.10"},
    )
    runs = {
        question: {name: float(DEPTH - place) for place, name in enumerate(ids)}
        for question, ids in asked.items()
        if ids
    }
    found = evaluator.evaluate(runs)
    return {
        question: Ranked(clusters[question], _values(found.get(question, {}), len(relevant[question])))
        for question in asked
    }


def figures(ranked: Mapping[str, Ranked], metrics: Sequence[str] = METRICS) -> dict[str, Estimate]:
    """Metric → its mean over the questions."""
    clusters = [one.cluster for one in ranked.values()]
    return {
        metric: Estimate.of([one.values[metric] for one in ranked.values()], clusters) for metric in metrics
    }


def differences(
    ranked: Mapping[str, Ranked], other: Mapping[str, Ranked], metrics: Sequence[str] = METRICS
) -> dict[str, Estimate]:
    """Metric → mean of ``ranked`` minus ``other`` over the questions of both, question by question."""
    both = [question for question in ranked if question in other]
    clusters = [ranked[question].cluster for question in both]
    return {
        metric: Estimate.of(
            [ranked[question].values[metric] - other[question].values[metric] for question in both],
            clusters,
            least=-1.0,
        )
        for metric in metrics
    }


_CUT_LIST = ",".join(map(str, CUTS))


def _values(found: Mapping[str, float], relevant: int) -> dict[str, float]:
    """trec_eval's values by our names; all 0 for an empty list, of which it has none."""
    recall = {f"recall@{cut}": found.get(f"P_{cut}", 0.0) * cut / min(cut, relevant) for cut in CUTS}
    success = {f"success@{cut}": found.get(f"success_{cut}", 0.0) for cut in CUTS}
    return {
        **recall,
        **success,
        "mrr@10": found.get("recip_rank", 0.0),
        "ndcg@10": found.get("ndcg_cut_10", 0.0),
    }


def _ratio(totals: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean over questions where whole clusters were drawn."""
    return totals.sum(axis=axis) / counts.sum(axis=axis)
