"""Fit an agent's confidence on a set of questions whose diagnoses are known.

The agent answers each question as it would a case; a logistic regression then says how often it was right, by what
spoke for its answers. The figures hold for the set that was given: what they are worth shows on another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.evaluation.clips import fit_confidence
from videopath.agent.evaluation.entities import named
from videopath.agent.evaluation.sets import Item, first_line
from videopath.agent.policy import Policy
from videopath.core.errors import InputError
from videopath.model.questions import FIRST_DESCRIBE, parse_answer
from videopath.tools.answered import asks_for_diagnosis

LEAST = 30
"""Questions; with fewer, six weights say nothing."""
LEAST_OF_EACH = 5
"""Right answers, and wrong ones: from one kind alone nothing can be learned."""

POLICY = Policy(max_looks=0, accept_uncalibrated=True, show_blank=False)
"""How the agent answers meanwhile: one look, and whatever it says counts."""


@dataclass(frozen=True)
class Answered:
    """An answer to a question whose diagnosis is known."""

    right: bool
    features: dict[str, float]


def usable(items: Sequence[Item]) -> list[Item]:
    """The questions that ask for a diagnosis and whose true one is known. Raises ``InputError`` for too few."""
    found = [item for item in items if truth_of(item) and asks_for_diagnosis(item.question)]
    if len(found) < LEAST:
        raise InputError(
            f"A confidence is fitted on at least {LEAST} questions for a diagnosis whose true one is known; of the "
            f"{len(items)} of this set {len(found)} are such. Use a larger set."
        )
    return found


def truth_of(item: Item) -> str:
    """The true diagnosis: named by the set, or by the reference answer in the form ``Diagnosis: …``."""
    return item.diagnosis or parse_answer(item.reference).diagnosis


def answered(
    agent: DiagnosticAgent, items: Sequence[Item], on_unreadable: Callable[[str], None]
) -> Iterator[Answered]:
    """Ask each question. One whose video cannot be used is left out, and ``on_unreadable`` told why."""
    for item in items:
        question = item.question.removesuffix(FIRST_DESCRIBE).strip()
        try:
            report = agent.diagnose(
                item.video, question or None, item.site, exclude=[item.group] if item.group else []
            )
        except InputError as error:
            on_unreadable(f"{item.id}: {first_line(error)}")
            continue
        verified = next(step for step in report.steps if step.name == "verify")
        right = named(report.diagnosis) == named(truth_of(item))
        agent.library.delete(report.case_id)
        yield Answered(right, verified.detail["features"])


def fitted(answers: Sequence[Answered]) -> dict[str, float]:
    """The card's ``calibration``. Raises ``InputError`` where the answers are too few or too much alike."""
    right = sum(answer.right for answer in answers)
    if len(answers) < LEAST or min(right, len(answers) - right) < LEAST_OF_EACH:
        raise InputError(
            f"The confidence was not fitted: of {len(answers)} answers {right} were right; it takes at least {LEAST}, "
            f"and {LEAST_OF_EACH} right and {LEAST_OF_EACH} wrong ones. Use a larger or a more varied set."
        )
    return fit_confidence(answers)
