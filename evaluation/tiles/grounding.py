"""By how much a sentence has to be more likely on a clip than elsewhere to be called *seen*.

Nobody has marked which sentences are true. But sentences that the model wrote of clips with another diagnosis are mostly
wrong of this one: a sentence counts as seen where it is preferred by more than 95% of such sentences are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.errors import InputError
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.tiles.fitting import Trial
from videopath.model.calibration import SEEN_OVER_FRAMES, SEEN_OVER_STAND_INS
from videopath.model.prompts.questions import describe_question
from videopath.tools.describe import located, margins_over_stand_ins
from videopath.tools.schemas import ClipInput

if TYPE_CHECKING:
    from videopath.tools.session_pool import SessionPool

LEAST = 30
"""Sentences of other clips; from fewer nothing is fitted."""
_CLIPS = 40  # at most
_QUANTILE = 0.95
_SEED = 12


def seen_margins(pool: SessionPool, trials: Sequence[Trial]) -> dict[str, float]:
    """Keys of a card's calibration → margins in nats a token; nothing from too few sentences."""
    rng = np.random.default_rng(_SEED)
    contrasts: list[float] = []
    margins: list[float] = []
    for place in rng.permutation(len(trials))[:_CLIPS]:
        trial = trials[int(place)]
        foreign = _foreign(trial, trials, rng)
        if not foreign:
            continue
        session, question = pool.open(ClipInput(video=trial.video)), describe_question(trial.site)
        try:
            found = located(session, question, foreign, session.frames())
        except InputError:  # a video that is gone since: the others will do
            continue
        contrasts += [finding.contrast for finding in found]
        margins += margins_over_stand_ins(session, question, found, trial.site)
    if len(margins) < LEAST:
        return {}
    return {
        SEEN_OVER_FRAMES: round(float(np.quantile(contrasts, _QUANTILE)), 4),
        SEEN_OVER_STAND_INS: round(float(np.quantile(margins, _QUANTILE)), 4),
    }


def _foreign(trial: Trial, trials: Sequence[Trial], rng: np.random.Generator) -> list[str]:
    """What the model wrote of a clip with another diagnosis, at the same site where there is one, and not of this one."""
    others = [other for other in trials if normalised_label(other.truth) != normalised_label(trial.truth)]
    others = [other for other in others if other.site == trial.site] or others
    if not others:
        return []
    other = others[int(rng.integers(len(others)))]
    return [sentence for sentence in other.sentences if sentence not in trial.sentences]
