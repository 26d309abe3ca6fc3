"""Measure a model together with the cases of a knowledge base: each case is asked with its own group left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.errors import InputError
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.tiles.fitting import Trial, fit_calibration, trial_of
from videopath.knowledge import InstructionRecord, KnowledgeBase
from videopath.knowledge.voting.measure import ModelMeasure

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.model.card import Card

MAX_CASES = 300
"""Default number of cases that are asked."""
MIN_ANSWERS = 30
"""Nothing is fitted on fewer answers."""
_SEED = 12


def draw_cases(base: KnowledgeBase, limit: int, media: Path | None) -> list[InstructionRecord]:
    """Draw whole groups of diagnosed records whose picture file is on this machine.

    Args:
        base: The knowledge base.
        limit: Largest number of records.
        media: Folder in which relative paths begin; None for paths as they are.

    Raises:
        InputError: There are fewer than :data:`MIN_ANSWERS` usable records.
    """
    usable = [
        record for record in base if record.diagnosis and record.media and _path(record, media).exists()
    ]
    groups = sorted({_group(record) for record in usable})
    np.random.default_rng(_SEED).shuffle(groups)
    rank = {group: number for number, group in enumerate(groups)}
    records = sorted(usable, key=lambda record: rank[_group(record)])[:limit]
    if len(records) < MIN_ANSWERS:
        raise InputError(
            f"{len(records)} diagnosed records of {base.folder} have a picture file on this machine; {MIN_ANSWERS} are needed. "
            "If their paths are relative, name their folder with --media."
        )
    return records


def trials(
    agent: DiagnosticAgent,
    records: Sequence[InstructionRecord],
    media: Path | None,
    on_unreadable: Callable[[str], None],
) -> Iterator[Trial]:
    """Ask the agent each case. Its own patient, group and source are left out of the knowledge base."""
    for record in records:
        own = [name for name in (record.patient, record.group, record.source) if name]
        clip = record.media[0]
        try:
            report = agent.diagnose(
                _path(record, media), site=record.site, exclude=own, writing=clip.writing, crop=clip.crop
            )
        except InputError as error:
            on_unreadable(f"{record.id}: {error}")
            continue
        agent.library.delete(report.case_id)
        yield replace(trial_of(report, record.diagnosis, _group(record)), own=True)


def measure_with_model(answers: Sequence[Trial], name: str, card: Card) -> ModelMeasure:
    """Fit the fusion of model and cases on the answers.

    Raises:
        InputError: There are fewer than :data:`MIN_ANSWERS` answers.
    """
    if len(answers) < MIN_ANSWERS:
        raise InputError(
            f"{len(answers)} cases were answered; {MIN_ANSWERS} are needed to measure a model with them."
        )
    calibration = fit_calibration(answers, card.model_copy(update={"calibration": {}}))
    fused = card.model_copy(update={"calibration": calibration})
    right = [
        normalised_label(answer.fused(fused).label) == normalised_label(answer.truth) for answer in answers
    ]
    return ModelMeasure(
        name=name,
        calibration=calibration,
        scoring=answers[0].final.scoring,
        cases=len(answers),
        groups=len({answer.group for answer in answers}),
        right=float(np.mean(right)),
    )


def _path(record: InstructionRecord, media: Path | None) -> Path:
    path = Path(record.media[0].path).expanduser()
    return path if media is None else media / path


def _group(record: InstructionRecord) -> str:
    return record.patient or record.group or record.source
