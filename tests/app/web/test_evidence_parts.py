"""Parts of the evidence and of the course of a case that need no browser session."""

from __future__ import annotations

import numpy as np

from videopath.agent import Step
from videopath.agent.cases.records import SimilarCase
from videopath.agent.decision.without import AnswerWithout
from videopath.app.web.components.case.course.rounds import rounds_of
from videopath.app.web.components.case.evidence.neighbours import in_order, without_in_words
from videopath.app.web.components.case.evidence.record_pictures import middle_square
from videopath.tools.schemas import CaseBallot


def _steps(*names: str) -> list[Step]:
    return [Step(name=name, summary="", started="2026-01-01T00:00:00Z", seconds=0.1) for name in names]


def test_a_case_is_told_in_rounds() -> None:
    steps = _steps(
        "intake", "diagnose", "verify", "look_closer", "diagnose", "review", "diagnose", "review", "report"
    )
    for step, label in ((steps[1], "adenoma"), (steps[4], "carcinoma"), (steps[6], "lipoma")):
        step.detail["result"] = {"label": label, "differential": [{"label": label, "probability": 0.5}]}
    steps[5].detail["decision"] = {"action": "revise", "reviewer": "Dr Ash"}
    steps[7].detail["decision"] = {"action": "accept", "reviewer": "Dr Ash"}
    rounds = rounds_of(steps)
    assert [(one.title, one.answer) for one in rounds] == [
        ("First look", "adenoma"), ("Closer look", "carcinoma"), ("After Dr Ash", "lipoma"),
    ]  # fmt: skip
    assert [number for one in rounds for number, _ in one.steps] == list(range(1, 10))
    assert rounds[0].certainty == "50% of its differential"


def test_similar_cases_stand_in_the_order_of_their_weight() -> None:
    similar = [
        SimilarCase(id=name, source=name, diagnosis="d", description="", score=0.5)
        for name in ("words", "both")
    ]
    ballots = [
        CaseBallot(id=name, group=name, diagnosis="d", similarity=0.9, weight=weight)
        for name, weight in (("picture", 1.0), ("both", 0.5), ("a tile", 0.4))
    ]
    ordered = in_order(similar, ballots, {"words", "both", "picture"})
    assert [(one.id, one.weight) for one in ordered] == [("picture", 1.0), ("both", 0.5), ("words", 0.0)]


def test_the_answer_without_a_case_is_told_in_words() -> None:
    same = AnswerWithout("adenoma", 0.6, "adenoma", 0.7, "fused")
    assert (
        without_in_words(same, "adenoma") == "still adenoma (70%); the similar cases would say adenoma (60%)"
    )
    assert without_in_words(same, "carcinoma").startswith("then adenoma (70%)")
    assert "the model leads" in without_in_words(AnswerWithout("a", 0.6, "b", 0.7, "model"), "b")
    assert without_in_words(None, "adenoma") == ""


def test_pictures_are_compared_at_one_scale() -> None:
    """A small picture is not enlarged: grey fills the rest, a large one is cut."""
    small = middle_square(np.zeros((10, 20, 3), np.uint8), 40)
    assert small.shape == (40, 40, 3)
    assert (small == 0).all(axis=2).sum() == 10 * 20
    assert (middle_square(np.zeros((90, 60, 3), np.uint8), 40) == 0).all()
