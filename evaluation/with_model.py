"""What a model and a knowledge base's own cases are worth together: the model is asked each case, its own group left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.errors import InputError
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.tiles.fitting import Trial, fitted_calibration, trial_of
from videopath.knowledge import InstructionRecord, KnowledgeBase
from videopath.knowledge.voting.measure import ModelMeasure

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.model.card import Card

MOST = 300
"""Cases that are asked, unless told otherwise."""
LEAST = 30
"""Answers; from fewer nothing is fitted."""
_SEED = 12


def chosen(base: KnowledgeBase, most: int, media: Path | None) -> list[InstructionRecord]:
    """Draw groups until there are enough diagnosed records whose picture file is on this machine.

    Raises ``InputError`` for too few.
    """
    usable = [
        record for record in base if record.diagnosis and record.media and _path(record, media).exists()
    ]
    groups = sorted({_group(record) for record in usable})
    np.random.default_rng(_SEED).shuffle(groups)
    place = {group: number for number, group in enumerate(groups)}
    found = sorted(usable, key=lambda record: place[_group(record)])[:most]
    if len(found) < LEAST:
        raise InputError(
            f"{len(found)} diagnosed records of {base.folder} have a picture file on this machine; {LEAST} are needed. Name the "
            "folder that their paths begin in with --media."
        )
    return found


def trials(
    agent: DiagnosticAgent,
    records: Sequence[InstructionRecord],
    media: Path | None,
    on_unreadable: Callable[[str], None],
) -> Iterator[Trial]:
    """Ask the model each case with its patient, group and source left out."""
    for record in records:
        own = [name for name in (record.patient, record.group, record.source) if name]
        try:
            report = agent.diagnose(_path(record, media), site=record.site, exclude=own)
        except InputError as error:
            on_unreadable(f"{record.id}: {error}")
            continue
        agent.library.delete(report.case_id)
        yield replace(trial_of(report, record.diagnosis, _group(record)), own=True)


def measured_with(answers: Sequence[Trial], name: str, card: Card) -> ModelMeasure:
    """What was fitted on the answers. Raises ``InputError`` for too few."""
    if len(answers) < LEAST:
        raise InputError(
            f"{len(answers)} cases were answered; {LEAST} are needed to measure a model with them."
        )
    calibration = fitted_calibration(answers, card.model_copy(update={"calibration": {}}))
    fused = card.model_copy(update={"calibration": calibration})
    right = [
        normalised_label(answer.fused(fused).label) == normalised_label(answer.truth) for answer in answers
    ]
    return ModelMeasure(
        name=name,
        calibration=calibration,
        cases=len(answers),
        groups=len({answer.group for answer in answers}),
        right=float(np.mean(right)),
    )


def _path(record: InstructionRecord, media: Path | None) -> Path:
    path = Path(record.media[0].path).expanduser()
    return path if media is None else media / path


def _group(record: InstructionRecord) -> str:
    return record.patient or record.group or record.source
