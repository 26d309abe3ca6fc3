"""Metrics of a test set without a judge, with intervals and paired differences.

Every metric is a function of the questions' weights. Weights of 1 give its value; the counts of each drawn patient, case or slide
give the bootstrap. So metrics over the whole set (macro-F1, calibration, risk–coverage) get intervals like means do. Two systems use
the same draws, which pairs their differences. Intervals are 95% percentiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from videopath.evaluation.stats.estimates import Estimate, equal_coverage
from videopath.evaluation.testsets.summary import McNemar, Metric
from videopath.evaluation.testsets.table import Table

Rows = Callable[[Table], np.ndarray]
"""Table → bool [n]: the questions that a metric uses."""
Value = Callable[[Table, np.ndarray], np.ndarray]
"""(table of these questions, weights [b, n]) → values [b]."""

COVERAGE = 0.7
BINS = 10
RESAMPLES = 2000
_SEED = 4
_AT_ONCE = 1 << 22  # weights in memory at a time


class Draws:
    """A bootstrap over clusters: whole clusters are drawn with replacement, as many as there are."""

    def __init__(self, clusters: np.ndarray, resamples: int = RESAMPLES) -> None:
        names, self._places = np.unique(clusters, return_inverse=True)
        counts = np.random.default_rng(_SEED).multinomial(
            len(names), [1 / len(names)] * len(names), size=resamples
        )
        self._counts = np.concatenate([np.ones((1, len(names)), counts.dtype), counts])

    def values(self, statistic: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
        """Compute a statistic (weights [b, n] → [b]) on the rows, then on every draw.

        Returns:
            float [1 + resamples]; NaN for a draw that holds none of the rows.
        """
        cluster_of_rows = self._places[rows]
        parts = -(-len(self._counts) * max(len(cluster_of_rows), 1) // _AT_ONCE)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate(
                [
                    statistic(part[:, cluster_of_rows].astype(float))
                    for part in np.array_split(self._counts, parts)
                ]
            )


@dataclass(frozen=True)
class Measure:
    """A metric with its description, its questions and its function."""

    facts: Metric
    rows: Rows
    value: Value


@dataclass(frozen=True)
class MetricDraws:
    """A metric's value, followed by its bootstrap draws."""

    facts: Metric
    values: np.ndarray
    questions: int
    clusters: int

    def estimate(self) -> Estimate:
        """Return the value with its interval; with one cluster, the whole range."""
        upper = self.facts.most if self.facts.most is not None else float(self.values[0])
        return _estimate(self.values, self.facts.least, upper, self.questions, self.clusters)

    def minus(self, other: MetricDraws) -> Estimate:
        """Return the difference from the same metric of another system with the same draws."""
        span = (self.facts.most or 0.0) - self.facts.least
        if self.facts.most is None:
            span = abs(float(self.values[0] - other.values[0]))
        questions, clusters = min(self.questions, other.questions), min(self.clusters, other.clusters)
        return _estimate(self.values - other.values, -span, span, questions, clusters)


def draw_all(answers: Table, draws: Draws) -> dict[str, MetricDraws]:
    """Compute every metric that applies to a system's answers."""
    draws_of = {}
    for measure in MEASURES:
        rows = measure.rows(answers)
        if rows.any():
            draws_of[measure.facts.name] = draw(measure, answers, rows, draws)
    return draws_of


def draw(measure: Measure, answers: Table, rows: np.ndarray, draws: Draws) -> MetricDraws:
    """Compute one metric over the rows of a mask."""
    part = answers.take(rows)
    values = draws.values(partial(measure.value, part), rows)
    return MetricDraws(measure.facts, values, len(part.ids), len(set(part.clusters.tolist())))


def mcnemar(first: Table, second: Table) -> McNemar | None:
    """Return McNemar's exact test on the questions with a true diagnosis; None if the set names none."""
    rows = first.truth != ""
    return mcnemar_of(first["right"][rows] == 1, second["right"][rows] == 1) if rows.any() else None


def mcnemar_of(one: np.ndarray, other: np.ndarray) -> McNemar:
    """Return McNemar's exact test of two systems' right answers, bool [n] each."""
    from scipy.stats import binomtest

    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    changed = only_first + only_second
    p = float(binomtest(only_first, changed).pvalue) if changed else 1.0
    return McNemar(only_first=only_first, only_second=only_second, p=p)


def mean(column: str, answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the mean of a column."""
    return weights @ answers[column] / weights.sum(axis=1)


def macro_f1(answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the true diagnoses in a draw. An answer outside them counts as a miss."""
    total, present = np.zeros(len(weights)), np.zeros(len(weights))
    for name in np.unique(answers.truth):
        true, answered_as = answers.truth == name, answers.said == name
        hits, support = weights @ (true & answered_as), weights @ true
        total += np.where(support > 0, 2 * hits / (support + weights @ answered_as), 0.0)
        present += support > 0
    return total / present


def signed_wrongly(answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the share of questions that were answered wrongly."""
    return weights @ ((answers["answered"] == 1) & (answers["right"] == 0)) / weights.sum(axis=1)


def at_equal_coverage(first: Table, second: Table) -> Estimate | None:
    """Return the accuracy when answered, ``first`` less ``second``; None if the second has no confidence or the first no answer."""
    rows = first.truth != ""
    if not np.isfinite(second["confidence"][rows]).all():
        return None
    return equal_coverage(
        first["answered"][rows] == 1,
        first["right"][rows] == 1,
        second["confidence"][rows],
        second["right"][rows] == 1,
        first.clusters[rows],
    )


def calibration_error(answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the expected calibration error over ten equal bins of confidence (Naeini et al., AAAI 2015)."""
    bin_of = np.minimum((answers["confidence"] * BINS).astype(int), BINS - 1)
    off = answers["right"] - answers["confidence"]
    gaps = [
        np.abs(weights[:, bin_of == bin_index] @ off[bin_of == bin_index]) for bin_index in np.unique(bin_of)
    ]
    return np.sum(gaps, axis=0) / weights.sum(axis=1)


def brier(answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared difference between confidence and outcome (Brier 1950)."""
    return weights @ np.square(answers["confidence"] - answers["right"]) / weights.sum(axis=1)


def risk_area(answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the area under risk–coverage (Geifman and El-Yaniv, NeurIPS 2017), by trapezoids between distinct confidences."""
    answered_count, wrong = _curve(answers, weights)
    risk = wrong / answered_count
    first = np.argmax(answered_count > 0, axis=1)  # nothing comes before it: no width, any height
    begun = np.take_along_axis(risk, first[:, None], axis=1)
    risk = np.concatenate([begun, np.where(answered_count > 0, risk, begun)], axis=1)
    coverage = np.concatenate([np.zeros_like(begun), answered_count], axis=1) / answered_count[:, -1:]
    return np.trapezoid(risk, coverage, axis=1)


def error_at_coverage(answers: Table, weights: np.ndarray) -> np.ndarray:
    """Return the share of wrong answers among the 70% most confident ones. Ties at the limit count in part."""
    answered_count, wrong = _curve(answers, weights)
    target = COVERAGE * answered_count[:, -1:]
    at = np.argmax(answered_count >= target, axis=1)[:, None]
    above, before = (
        np.take_along_axis(answered_count, at, axis=1),
        np.take_along_axis(_shifted(answered_count), at, axis=1),
    )
    errors, errors_before = (
        np.take_along_axis(wrong, at, axis=1),
        np.take_along_axis(_shifted(wrong), at, axis=1),
    )
    part = (target - before) / (above - before)
    return ((errors_before + part * (errors - errors_before)) / target)[:, 0]


def _curve(answers: Table, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return [b, k] each: the answers given, and the wrong ones among them, down to each distinct confidence."""
    order = np.argsort(-answers["confidence"], kind="stable")
    confidence = answers["confidence"][order]
    last = np.append(confidence[1:] != confidence[:-1], True)
    ordered = weights[:, order]
    wrong = ordered * (1 - answers["right"][order])
    return np.cumsum(ordered, axis=1)[:, last], np.cumsum(wrong, axis=1)[:, last]


def _shifted(values: np.ndarray) -> np.ndarray:
    """Return [b, k]: each value's predecessor, 0 for the first."""
    return np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)


def _estimate(values: np.ndarray, lower: float, upper: float, questions: int, clusters: int) -> Estimate:
    value, draws = float(values[0]), values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(draws, [2.5, 97.5]) if clusters > 1 and len(draws) else (lower, upper)
    return Estimate(value, float(low), float(high), questions, clusters)


def _has(column: str) -> Rows:
    return lambda answers: np.isfinite(answers[column])


def _all(answers: Table) -> np.ndarray:
    return np.ones(len(answers.ids), bool)


def _confident(answers: Table) -> np.ndarray:
    return np.isfinite(answers["confidence"]) & (answers.truth != "")


def _answered(answers: Table) -> np.ndarray:
    return (answers["answered"] == 1) & (answers.truth != "")


def _share(
    name: str, label: str, meaning: str, column: str | None = None, rows: Rows | None = None
) -> Measure:
    """Return a mean of values in [0, 1]; more is better."""
    facts = Metric(name=name, label=label, better="higher", least=0, most=1, meaning=meaning)
    return Measure(facts, rows or _has(column or name), partial(mean, column or name))


def _loss(name: str, label: str, meaning: str, value: Value) -> Measure:
    """Return a metric of the confidence; less is better."""
    facts = Metric(name=name, label=label, better="lower", least=0, most=1, meaning=meaning)
    return Measure(facts, _confident, value)


MEASURES: tuple[Measure, ...] = (
    _share(
        "diagnosis",
        "diagnosis, a parent counts half",
        "1 for the true diagnosis or another name of it, a half for an entity that it is a kind of, else 0.",
    ),
    _share(
        "accuracy", "accuracy", "Share of questions with the true diagnosis or another name of it.", "right"
    ),
    Measure(
        Metric(
            name="macro_f1",
            label="macro-F1",
            better="higher",
            least=0,
            most=1,
            meaning="Mean over the set's diagnoses of the harmonic mean of precision and recall.",
        ),
        lambda found: found.truth != "",
        macro_f1,
    ),
    _share(
        "top3",
        "top 3",
        "Share of questions whose true diagnosis is among the first three of the differential.",
    ),
    _share(
        "rouge_l",
        "ROUGE-L",
        "F1 of the longest common subsequence of words of answer and reference, stemmed.",
    ),
    _share("similarity", "similarity", "Cosine of the sentence vectors of answer and reference, at least 0."),
    _share(
        "attributes",
        "attribute words",
        "Share of the set's attributes whose true level the description names.",
    ),
    _loss(
        "calibration_error",
        "calibration error",
        "Mean distance of confidence and accuracy over ten equal bins of the confidence.",
        calibration_error,
    ),
    _loss(
        "brier", "Brier", "Mean squared distance of the confidence from being right (1) or wrong (0).", brier
    ),
    _loss(
        "risk_area",
        "area under risk–coverage",
        "Mean error while the least confident answers are left out one after the other; without any use of the confidence it is the error.",
        risk_area,
    ),
    _loss(
        "error_at_70",
        "error at 70% coverage",
        "Share of wrong answers among the 70% most confident ones.",
        error_at_coverage,
    ),
    Measure(
        Metric(
            name="named",
            label="names a diagnosis",
            better="neither",
            least=0,
            most=1,
            meaning="Share of questions with a true diagnosis whose answer names any diagnosis.",
        ),
        lambda found: found.truth != "",
        partial(mean, "named"),
    ),
    Measure(
        Metric(
            name="coverage",
            label="answered",
            better="neither",
            least=0,
            most=1,
            meaning="Share of questions with an answer on which the system did not abstain; the agent answers no question "
            "but one for a diagnosis.",
        ),
        _all,
        partial(mean, "answered"),
    ),
    Measure(
        Metric(
            name="signed_wrongly",
            label="given out wrongly",
            better="lower",
            least=0,
            most=1,
            meaning="Share of all questions with a true diagnosis for which the system gave another one out.",
        ),
        lambda found: found.truth != "",
        signed_wrongly,
    ),
    _share(
        "accuracy_answered",
        "accuracy when answered",
        "Accuracy on the questions on which the system did not abstain.",
        "right",
        _answered,
    ),
    Measure(
        Metric(
            name="seconds",
            label="seconds a question",
            better="lower",
            least=0,
            most=None,
            meaning="Mean wall-clock time of a question, with opening its video.",
        ),
        _all,
        partial(mean, "seconds"),
    ),
)
"""All metrics, in the order in which they are shown."""

BY_NAME: dict[str, Measure] = {measure.facts.name: measure for measure in MEASURES}
