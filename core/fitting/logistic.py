"""The probability that an answer is right: a logistic function of its features, with fitted weights of 0 or more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

INTERCEPT = "intercept"


def fit_weights(names: Sequence[str], features: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Fit the weights of the features on answers that are known to be right or wrong.

    No weight is negative, so that evidence for an answer never counts against it, even if features correlate in a small
    sample. A ridge penalty of 1 keeps the weights small (Hoerl and Kennard, Technometrics 1970). One right and one wrong
    answer with average features are added (the rule of succession): even a system that was always right gets
    probabilities below 1.

    Args:
        names: Names of the features.
        features: Values, float [answers, names].
        right: Whether each answer was right, bool [answers].

    Returns:
        Name → weight, with the intercept under ``INTERCEPT``; rounded to four decimals.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    middle = np.mean(features, axis=0)
    truth = np.array([*np.asarray(right, dtype=float), 1.0, 0.0])
    table = np.column_stack([np.ones(len(truth)), np.concatenate([features, [middle, middle]])])

    penalised = np.array([0.0, *[1.0] * len(names)])  # the intercept is not

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = table @ weights
        fit = np.sum(np.logaddexp(0.0, total) - truth * total) + 0.5 * np.sum(penalised * weights**2)
        slope = table.T @ (expit(total) - truth) + penalised * weights
        return float(fit), slope

    bounds = [(None, None), *[(0.0, None)] * len(names)]
    fitted = minimize(loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return {name: round(float(weight), 4) for name, weight in zip((INTERCEPT, *names), fitted.x, strict=True)}


def probability(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    """Return the probability in [0, 1] that an answer with these features is right."""
    total = weights[INTERCEPT] + sum(
        weight * features[name] for name, weight in weights.items() if name != INTERCEPT
    )
    return 1.0 / (1.0 + math.exp(-total)) if total >= 0 else math.exp(total) / (1.0 + math.exp(total))
