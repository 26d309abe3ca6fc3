"""Fit the margin by which a sentence must be more likely on its clip than elsewhere to be called *seen*.

Nobody has marked which sentences are true. But a sentence that the model wrote about a clip with another diagnosis is
usually wrong here. A sentence counts as seen if its margin is larger than that of 95% of such foreign sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.errors import InputError
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.tiles.fitting import Trial
from videopath.model.calibration import SEEN_OVER_FRAMES, SEEN_OVER_STAND_INS
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.tools.abilities import abilities_of
from videopath.tools.describe import located, margins_over_stand_ins
from videopath.tools.schemas import ClipInput

if TYPE_CHECKING:
    from videopath.tools.session_pool import SessionPool

MIN_SENTENCES = 30
"""Nothing is fitted on fewer foreign sentences."""
_MAX_CLIPS = 40
_QUANTILE = 0.95
_SEED = 12


def fit_seen_margins(pool: SessionPool, trials: Sequence[Trial]) -> dict[str, float]:
    """Return the card's calibration keys → margins in nats per token.

    Empty if there are too few sentences, or if the engine cannot compare sentences with other frames and stand-ins.
    """
    if not abilities_of(pool.info).tests_sentences:
        return {}
    rng = np.random.default_rng(_SEED)
    contrasts: list[float] = []
    margins: list[float] = []
    for index in rng.permutation(len(trials))[:_MAX_CLIPS]:
        trial = trials[int(index)]
        foreign = _foreign(trial, trials, rng)
        if not foreign:
            continue
        session = pool.open(ClipInput(video=trial.video, writing="keep"))
        question = pool.prompts.finding(PromptFacts(site=trial.site))
        try:
            findings = located(session, question, foreign, session.frames())
        except InputError:  # the video is gone since; the others suffice
            continue
        contrasts += [finding.contrast for finding in findings]
        margins += margins_over_stand_ins(session, question, findings, trial.site)
    if len(margins) < MIN_SENTENCES:
        return {}
    return {
        SEEN_OVER_FRAMES: round(float(np.quantile(contrasts, _QUANTILE)), 4),
        SEEN_OVER_STAND_INS: round(float(np.quantile(margins, _QUANTILE)), 4),
    }


def _foreign(trial: Trial, trials: Sequence[Trial], rng: np.random.Generator) -> list[str]:
    """Return sentences that the model wrote about a clip with another diagnosis, of the same site if possible."""
    others = [other for other in trials if normalised_label(other.truth) != normalised_label(trial.truth)]
    others = [other for other in others if other.site == trial.site] or others
    if not others:
        return []
    other = others[int(rng.integers(len(others)))]
    return [sentence for sentence in other.sentences if sentence not in trial.sentences]
