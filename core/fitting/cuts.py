"""How sure an answer has to be to be given out, for each label: learned from answers whose truth is known."""

from __future__ import annotations

import numpy as np


def fit_cuts(
    truth: np.ndarray,
    said: np.ndarray,
    chances: np.ndarray,
    wrong_at_most: float,
    wrong_of_label: float,
    usable: np.ndarray | None = None,
) -> dict[str, float]:
    """Label → probability from which it is given out; a label that is never is not in it.

    First the lowest probability at which few enough of all answers are wrong. Then, as long as more than ``wrong_of_label``
    of a label's own cases are answered wrongly, or of the answers with that label are wrong, the least certain of these
    answers is no longer given.

    Args:
        truth: True labels, str [answers].
        said: Labels of the answers, str [answers].
        chances: Their probabilities of being right, float [answers] in [0, 1].
        wrong_at_most: Share of the given answers that may be wrong.
        wrong_of_label: Share of a label's own cases, and of the answers with it, that may be wrong.
        usable: Answers that may be given at all, bool [answers]; none: all.
    """
    usable = np.ones(len(truth), bool) if usable is None else usable
    right = truth == said
    least = _lowest(chances[usable], right[usable], wrong_at_most) if usable.any() else None
    if least is None:
        return {}
    cuts = dict.fromkeys(np.unique(said[usable]).tolist(), least)
    while True:
        given = usable & (chances >= np.array([cuts.get(label, 2.0) for label in said.tolist()]))
        worst = _worst(truth, said, chances, given, wrong_of_label)
        if worst is None:
            break
        cuts[str(said[worst])] = float(np.nextafter(chances[worst], 2.0))
    return {label: cut for label, cut in cuts.items() if bool((given & right & (said == label)).any())}


def _lowest(chances: np.ndarray, right: np.ndarray, wrong_at_most: float) -> float | None:
    """The lowest probability from which few enough answers are wrong; None where there is none."""
    order = np.argsort(-chances, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    last = np.append(chances[order][1:] < chances[order][:-1], True)  # equal ones are given together
    fine = np.flatnonzero((wrong <= wrong_at_most) & last)
    return float(chances[order[fine[-1]]]) if len(fine) else None


def _worst(
    truth: np.ndarray, said: np.ndarray, chances: np.ndarray, given: np.ndarray, wrong_of_label: float
) -> int | None:
    """The place of the least certain wrong answer of a label that is wrong too often; None where none is."""
    wrong = given & (truth != said)
    for label in np.unique(np.concatenate([truth, said])):
        own, called = truth == label, given & (said == label)
        for cases, count in ((wrong & own, own.sum()), (wrong & called, called.sum())):
            if cases.sum() > wrong_of_label * count:
                places = np.flatnonzero(cases)
                return int(places[np.argmin(chances[places])])
    return None
