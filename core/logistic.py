"""How likely an answer is right, by what speaks for it: a logistic function whose weights are fitted and never negative."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

INTERCEPT = "intercept"


def fit_weights(names: Sequence[str], features: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Weights of the features, float [answers, names], for answers that were right or not, bool [answers].

    No weight is negative: what speaks for an answer never counts against it, however the features go together in a small
    sample. The weights are held small by a ridge penalty of 1 (Hoerl and Kennard, Technometrics 1970). Raises
    ``ValueError`` where all answers are right or all are wrong.
    """
    from scipy.optimize import minimize

    truth = np.asarray(right, dtype=float)
    if len(np.unique(truth)) < 2:
        raise ValueError("right and wrong answers are needed")
    table = np.column_stack([np.ones(len(truth)), features])

    def loss(weights: np.ndarray) -> float:
        total = table @ weights
        fit = np.mean(np.logaddexp(0.0, total) - truth * total)
        return float(fit + 0.5 * np.sum(weights[1:] ** 2) / len(truth))

    bounds = [(None, None), *[(0.0, None)] * len(names)]
    fitted = minimize(loss, np.zeros(len(names) + 1), bounds=bounds, method="L-BFGS-B")
    return {name: round(float(weight), 4) for name, weight in zip((INTERCEPT, *names), fitted.x, strict=True)}


def probability(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The probability in [0, 1] that an answer with these features is right."""
    total = weights[INTERCEPT] + sum(
        weight * features[name] for name, weight in weights.items() if name != INTERCEPT
    )
    return 1.0 / (1.0 + math.exp(-total)) if total >= 0 else math.exp(total) / (1.0 + math.exp(total))
