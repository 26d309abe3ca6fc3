"""How likely an answer is right, by what speaks for it: a logistic function whose weights are fitted and never negative."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

INTERCEPT = "intercept"


def fit_weights(names: Sequence[str], features: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Weights of the features, float [answers, names], for answers that were right or not, bool [answers].

    No weight is negative: what speaks for an answer never counts against it, however the features go together in a small
    sample. The weights are held small by a ridge penalty of 1 (Hoerl and Kennard, Technometrics 1970). One right and one
    wrong answer of average features are added (the rule of succession), so that nobody whose every answer was right is
    believed to be right always.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    middle = np.mean(features, axis=0)
    truth = np.array([*np.asarray(right, dtype=float), 1.0, 0.0])
    table = np.column_stack([np.ones(len(truth)), np.concatenate([features, [middle, middle]])])

    held = np.array([0.0, *[1.0] * len(names)])  # the intercept is free

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = table @ weights
        fit = np.sum(np.logaddexp(0.0, total) - truth * total) + 0.5 * np.sum(held * weights**2)
        slope = table.T @ (expit(total) - truth) + held * weights
        return float(fit), slope

    bounds = [(None, None), *[(0.0, None)] * len(names)]
    fitted = minimize(loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return {name: round(float(weight), 4) for name, weight in zip((INTERCEPT, *names), fitted.x, strict=True)}


def probability(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The probability in [0, 1] that an answer with these features is right."""
    total = weights[INTERCEPT] + sum(
        weight * features[name] for name, weight in weights.items() if name != INTERCEPT
    )
    return 1.0 / (1.0 + math.exp(-total)) if total >= 0 else math.exp(total) / (1.0 + math.exp(total))
