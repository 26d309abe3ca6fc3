"""Fit an agent's confidence on a set of questions whose diagnoses are known.

The agent answers each question like a case. A logistic regression then learns how often an answer is right, from the
features of the answer. The figures hold for this set; only another set shows what they are worth.
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
from videopath.evaluation.tiles.fitting import Trial, fit_calibration, trial_of
from videopath.model.card import Card
from videopath.model.prompts.questions import FIRST_DESCRIBE
from videopath.tools.answers.answerable_questions import asks_for_diagnosis
from videopath.tools.schemas import DiagnoseResult

MIN_QUESTIONS = 30
"""Fewer questions cannot fit six weights."""
MIN_OF_EACH = 5
"""Right answers, and wrong answers. One kind alone teaches nothing."""

POLICY = Policy(max_looks=0, accept_uncalibrated=True, show_blank=False)
"""The agent's policy while it is measured: one look, and every answer counts."""


def usable_questions(items: Sequence[Item]) -> list[Item]:
    """Return the questions that ask for a diagnosis and have a known one.

    Raises:
        InputError: There are fewer than :data:`MIN_QUESTIONS`.
    """
    usable = [item for item in items if truth_of(item) and asks_for_diagnosis(item.question)]
    if len(usable) < MIN_QUESTIONS:
        raise InputError(
            f"A confidence is fitted on at least {MIN_QUESTIONS} questions that ask for a diagnosis and have a known one; "
            f"{len(usable)} of the {len(items)} questions of this set do. Use a larger set."
        )
    return usable


def truth_of(item: Item) -> str:
    """Return the true diagnosis: from the set's field, or from a reference answer of the form ``Diagnosis: …``."""
    return item.diagnosis or parse_answer(item.reference).diagnosis


def ask_all(
    agent: DiagnosticAgent, items: Sequence[Item], on_unreadable: Callable[[str], None]
) -> Iterator[Trial]:
    """Ask each question. A question whose video cannot be used is left out; ``on_unreadable`` gets the reason."""
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


def count_right(trials: Sequence[Trial]) -> int:
    """Return how many of the model's answers are right."""
    return sum(normalised_label(trial.final.label) == normalised_label(trial.truth) for trial in trials)


def fit_confidence(trials: Sequence[Trial], card: Card) -> dict[str, float]:
    """Return the ``calibration`` for the model's card.

    Raises:
        InputError: There are too few answers, or too few right or wrong ones.
    """
    right = count_right(trials)
    if len(trials) < MIN_QUESTIONS or min(right, len(trials) - right) < MIN_OF_EACH:
        raise InputError(
            f"The confidence was not fitted: {right} of {len(trials)} answers were right. At least {MIN_QUESTIONS} answers are "
            f"needed, {MIN_OF_EACH} of them right and {MIN_OF_EACH} wrong. Use a larger or more varied set."
        )
    return fit_calibration(trials, card)


def _by_entity(result: DiagnoseResult) -> DiagnoseResult:
    """Return the result with the entity's own name as label, as the truth has it. A synonym is right, too."""
    known = comparable_name(result.label)
    if not known or normalised_label(known) == normalised_label(result.label):
        return result
    renamed = [
        c.model_copy(update={"label": known}) if c.label == result.label else c for c in result.differential
    ]
    return result.model_copy(update={"label": known, "differential": renamed})
