"""Cuts: the probability from which an answer is given out, for each label; fitted on answers with known truth."""

from __future__ import annotations

import numpy as np

_NEVER = 2.0  # above every probability


def fit_cuts(
    truth: np.ndarray,
    labels: np.ndarray,
    chances: np.ndarray,
    wrong_at_most: float,
    wrong_of_label: float,
    usable: np.ndarray | None = None,
) -> dict[str, float]:
    """Return the cut of each label: the probability from which it is given out.

    All labels start at the lowest probability from which few enough of all answers are wrong. Then the cuts of single
    labels rise: while more than ``wrong_of_label`` of a label's own cases, or of the answers with that label, are wrong,
    the least certain wrong answer among them is no longer given out.

    Args:
        truth: True labels, str [answers].
        labels: Labels of the answers, str [answers].
        chances: Probabilities that the answers are right, float [answers] in [0, 1].
        wrong_at_most: Share of the given answers that may be wrong.
        wrong_of_label: Share of a label's own cases, and of the answers with it, that may be wrong.
        usable: Answers that may be given out at all, bool [answers]; default: all.

    Returns:
        Label → cut. A label that is never given out is missing.
    """
    usable = np.ones(len(truth), bool) if usable is None else usable
    right = truth == labels
    start = _lowest_cut(chances[usable], right[usable], wrong_at_most) if usable.any() else None
    if start is None:
        return {}
    cuts = dict.fromkeys(np.unique(labels[usable]).tolist(), start)
    while True:
        given = usable & (chances >= np.array([cuts.get(label, _NEVER) for label in labels.tolist()]))
        index = _least_certain_wrong(truth, labels, chances, given, wrong_of_label)
        if index is None:
            break
        cuts[str(labels[index])] = float(np.nextafter(chances[index], _NEVER))
    return {label: cut for label, cut in cuts.items() if bool((given & right & (labels == label)).any())}


def _lowest_cut(chances: np.ndarray, right: np.ndarray, wrong_at_most: float) -> float | None:
    """Return the lowest probability from which few enough answers are wrong, or None if there is none."""
    order = np.argsort(-chances, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    last = np.append(chances[order][1:] < chances[order][:-1], True)  # equal chances are given out together
    allowed = np.flatnonzero((wrong <= wrong_at_most) & last)
    return float(chances[order[allowed[-1]]]) if len(allowed) else None


def _least_certain_wrong(
    truth: np.ndarray, labels: np.ndarray, chances: np.ndarray, given: np.ndarray, wrong_of_label: float
) -> int | None:
    """Return the index of the least certain wrong answer of a label that is wrong too often, or None."""
    wrong = given & (truth != labels)
    for label in np.unique(np.concatenate([truth, labels])):
        own, answered = truth == label, given & (labels == label)
        for errors, count in ((wrong & own, own.sum()), (wrong & answered, answered.sum())):
            if errors.sum() > wrong_of_label * count:
                indices = np.flatnonzero(errors)
                return int(indices[np.argmin(chances[indices])])
    return None
