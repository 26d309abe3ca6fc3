"""What a model can be asked in a case, and what is left out for it.

A case asks a model on this machine many small questions: about single frames, about stand-ins, for samples. An engine may
lack an ability, and a served one needs a request for every question. Tools and agent leave the same questions out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.model.inference.engine import EngineInfo


@dataclass(frozen=True)
class ModelAbilities:
    """Which questions a case asks a model."""

    finds_moments: bool
    """Texts are scored on single frames, which gives each finding its moment."""
    scores_sentences: bool
    """A sentence gets a score of its own, not only a choice among candidates: it can be compared with stand-ins, and
    candidates can be scored after the description alone."""
    answers_often: bool
    """Further questions cost no requests: sampled answers, stand-ins, and answers to a blank video."""

    @property
    def tests_sentences(self) -> bool:
        """Whether sentences can be compared with the clip's other frames and with stand-ins: whether they are *seen*."""
        return self.finds_moments and self.scores_sentences and self.answers_often


def abilities_of(info: EngineInfo) -> ModelAbilities:
    """Return which questions a case asks the model of an engine."""
    return ModelAbilities(
        finds_moments=info.scores_moments,
        scores_sentences=info.scoring == "token probabilities",
        answers_often=not info.address,
    )
