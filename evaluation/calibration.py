"""Fit an agent's confidence on a set of questions whose diagnoses are known.

The agent answers each question as it would a case; a logistic regression then says how often it was right, by what
spoke for its answers. The figures hold for the set that was given: what they are worth shows on another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.policy import Policy
from videopath.core.errors import InputError
from videopath.core.pathology.answers import parse_answer
from videopath.core.pathology.entities import comparable_name
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.testsets.sets import Item, first_line
from videopath.evaluation.tiles.fitting import Trial, fitted_calibration, trial_of
from videopath.model.card import Card
from videopath.model.prompts.questions import FIRST_DESCRIBE
from videopath.tools.answers.answerable_questions import asks_for_diagnosis
from videopath.tools.schemas import DiagnoseResult

LEAST = 30
"""Questions; with fewer, six weights say nothing."""
LEAST_OF_EACH = 5
"""Right answers, and wrong ones: from one kind alone nothing can be learned."""

POLICY = Policy(max_looks=0, accept_uncalibrated=True, show_blank=False)
"""How the agent answers meanwhile: one look, and whatever it says counts."""


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
) -> Iterator[Trial]:
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
        agent.library.delete(report.case_id)
        trial = trial_of(report, comparable_name(truth_of(item)), item.cluster)
        yield replace(trial, final=_by_entity(trial.final), blind=_by_entity(trial.blind))


def right_of(trials: Sequence[Trial]) -> int:
    """How many of the model's answers are right."""
    return sum(normalised_label(trial.final.label) == normalised_label(trial.truth) for trial in trials)


def fitted(trials: Sequence[Trial], card: Card) -> dict[str, float]:
    """The card's ``calibration``. Raises ``InputError`` where the answers are too few or too much alike."""
    right = right_of(trials)
    if len(trials) < LEAST or min(right, len(trials) - right) < LEAST_OF_EACH:
        raise InputError(
            f"The confidence was not fitted: of {len(trials)} answers {right} were right; it takes at least {LEAST}, "
            f"and {LEAST_OF_EACH} right and {LEAST_OF_EACH} wrong ones. Use a larger or a more varied set."
        )
    return fitted_calibration(trials, card)


def _by_entity(result: DiagnoseResult) -> DiagnoseResult:
    """The result with the label by the entity's own name, as the truth has it: a synonym is right, too."""
    known = comparable_name(result.label)
    if not known or normalised_label(known) == normalised_label(result.label):
        return result
    renamed = [
        c.model_copy(update={"label": known}) if c.label == result.label else c for c in result.differential
    ]
    return result.model_copy(update={"label": known, "differential": renamed})
