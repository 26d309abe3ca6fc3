"""Cuts: the probability from which an answer is given out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from videopath.core.fitting.cuts import fit_cuts

ANSWERS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0, 1)), min_size=1, max_size=120
)


def columns(rows: list[tuple[str, str, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, said, chances = zip(*rows, strict=True)
    return np.array(truth), np.array(said), np.array(chances)


def out(said: np.ndarray, chances: np.ndarray, cuts: dict[str, float]) -> np.ndarray:
    return chances >= np.array([cuts.get(label, 2.0) for label in said])


@given(ANSWERS)
def test_no_label_is_wrong_too_often(rows: list[tuple[str, str, float]]) -> None:
    truth, said, chances = columns(rows)
    given_out = out(said, chances, fit_cuts(truth, said, chances, 0.1, 0.2))
    wrong = given_out & (truth != said)
    for label in "abc":
        assert wrong[truth == label].sum() <= 0.2 * (truth == label).sum()
        assert wrong[said == label].sum() <= 0.2 * given_out[said == label].sum()


def test_sure_right_answers_are_given_and_a_confused_label_is_not() -> None:
    rows = [("a", "a", 0.99)] * 50 + [("b", "b", 0.98)] * 30 + [("c", "b", 0.9)] * 10 + [("c", "c", 0.2)]
    truth, said, chances = columns(rows)
    cuts = fit_cuts(truth, said, chances, 0.2, 0.2)
    assert out(said, chances, cuts).tolist() == [True] * 80 + [False] * 10 + [True]
    assert cuts["b"] > 0.9  # all of c were called b, though few of those called b are wrong


def test_what_is_never_right_is_never_given() -> None:
    truth, said, chances = columns([("a", "b", 0.9), ("b", "a", 0.8)])
    assert fit_cuts(truth, said, chances, 0.05, 0.2) == {}
