"""The calibration of a model: what was fitted on cases whose diagnosis is known.

A calibration is a mapping from keys to numbers. It is stored in a checkpoint's card, and with a knowledge base for a model
that was measured together with its cases. This module is the only place that knows the keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from videopath.core.pathology.labels import normalised_label

CONFIDENCE = "confidence."
"""Before the name of a feature, or before "intercept": the weights of the confidence."""
TEMPERATURE = "temperature"
THRESHOLD = "abstain_threshold"
"""The confidence from which any diagnosis is given out."""
THRESHOLD_OF = f"{THRESHOLD}."
"""Before a normalised label: the confidence that this diagnosis needs."""
FUSION_OF_MODEL, FUSION_OF_CASES = "fusion.model", "fusion.cases"
SEEN_OVER_FRAMES, SEEN_OVER_STAND_INS = "seen.frames", "seen.stand_ins"
SECOND_OPINION = f"{CONFIDENCE}second_opinion"
"""How many log-odds the confidence loses if a second model has another diagnosis."""

FEATURES = ("top_probability", "margin", "samples", "neighbours", "description", "blind", "cases")
"""Features of the confidence, see :func:`videopath.agent.decision.confidence.features`.

"cases" was added later: a card that was calibrated before gives it no weight.
"""
DEFAULT_WEIGHTS = {
    "confidence.intercept": -3.0,
    "confidence.top_probability": 2.0,
    "confidence.margin": 1.0,
    "confidence.samples": 1.0,
    "confidence.neighbours": 0.5,
    "confidence.description": 1.5,
    "confidence.blind": 1.0,
}
"""Chosen, not fitted: with all features at 1 the confidence is 0.98, with all at 0 it is 0.05, with all at 0.5 it is 0.62."""
DEFAULT_THRESHOLD = 0.5
UNDECIDED = 0.5
"""A feature without evidence for or against the diagnosis."""


class FusionExponents(NamedTuple):
    """Exponents a and b of the fused differential, model^a × cases^b."""

    model: float
    cases: float


class SeenMargins(NamedTuple):
    """By how many nats per token a sentence must be more likely to count as seen."""

    frames: float
    """On its frame than on the clip's other frames."""
    stand_ins: float
    """On the clip than on any stand-in."""


@dataclass(frozen=True)
class Calibration:
    """A calibration with named values instead of keys.

    Attributes:
        parameters: The numbers by key, as a card holds them. Keys that are missing have defaults.
    """

    parameters: Mapping[str, float]

    @property
    def is_fitted(self) -> bool:
        """Whether the confidence was fitted for this model: every weight has a number."""
        return DEFAULT_WEIGHTS.keys() <= self.parameters.keys()

    @property
    def temperature(self) -> float:
        """Scores of candidates are divided by it before they become probabilities."""
        return self.parameters.get(TEMPERATURE, 1.0)

    @property
    def exponents(self) -> FusionExponents | None:
        """How model and cases are fused; ``None`` if that was not fitted."""
        if not {FUSION_OF_MODEL, FUSION_OF_CASES} <= self.parameters.keys():
            return None
        return FusionExponents(self.parameters[FUSION_OF_MODEL], self.parameters[FUSION_OF_CASES])

    @property
    def seen_margins(self) -> SeenMargins | None:
        """From where a sentence counts as seen; ``None`` if that was not fitted."""
        if not {SEEN_OVER_FRAMES, SEEN_OVER_STAND_INS} <= self.parameters.keys():
            return None
        return SeenMargins(self.parameters[SEEN_OVER_FRAMES], self.parameters[SEEN_OVER_STAND_INS])

    def threshold(self, label: str = "") -> float:
        """Return the confidence from which a diagnosis is given out; a label may need more than the others."""
        usual = self.parameters.get(THRESHOLD, DEFAULT_THRESHOLD)
        return max(usual, self.parameters.get(f"{THRESHOLD_OF}{normalised_label(label)}", 0.0))

    def confidence(self, features: Mapping[str, float]) -> float:
        """Return the probability in [0, 1] that a diagnosis with these features is right.

        Missing features count as undecided. It is a probability only if the calibration is fitted. ``contradicted`` is 1
        if a second model has another diagnosis.
        """
        weights = {**DEFAULT_WEIGHTS, **self.parameters}
        total = weights[f"{CONFIDENCE}intercept"]
        total += sum(
            weights.get(f"{CONFIDENCE}{name}", 0.0) * features.get(name, UNDECIDED) for name in FEATURES
        )
        total -= max(weights.get(SECOND_OPINION, 0.0), 0.0) * features.get("contradicted", 0.0)
        return 1.0 / (1.0 + math.exp(-total)) if total >= 0 else math.exp(total) / (1.0 + math.exp(total))
