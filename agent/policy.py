"""How careful the agent is. Kept with the case, so that a resumed case goes on as it began."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import MAX_ANSWER_TOKENS, MAX_LOOKS, MAX_NEIGHBOURS, MAX_SAMPLES, ReviewMode
from videopath.core.pathology.labels import normalised_label
from videopath.tools.context import ContextRules

DEFAULT_THRESHOLD = 0.5
NEEDED = "abstain_threshold."
"""Before a diagnosis, in a card's calibration: the confidence that this one needs."""


class Policy(BaseModel):
    """Thresholds and budgets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review: ReviewMode = Field("never", description="when a person is asked before the report")
    abstain_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="confidence below which the agent abstains; none: what the model card says",
    )
    max_looks: int = Field(
        MAX_LOOKS,
        ge=0,
        le=MAX_LOOKS,
        description="closer looks at most, while the confidence is below the threshold",
    )
    samples: int = Field(
        3, ge=0, le=MAX_SAMPLES, description="sampled answers that are compared with the diagnosis"
    )
    neighbours: int = Field(5, ge=0, le=MAX_NEIGHBOURS, description="similar cases to look up; 0: none")
    context: ContextRules = Field(default_factory=ContextRules, description="when a similar case is evidence")
    description_tokens: int = Field(256, ge=1, le=MAX_ANSWER_TOKENS)
    answer_tokens: int = Field(128, ge=1, le=MAX_ANSWER_TOKENS)
    accept_uncalibrated: bool = Field(
        False, description="report the answers of a model whose confidence was never fitted"
    )
    show_blank: bool = Field(
        True, description="what such a model says of a blank video as well is no diagnosis"
    )
    accept_any_image: bool = Field(
        False, description="go on when the quality gate takes the video for no histology"
    )

    def threshold(self, calibration: dict[str, float], label: str = "") -> float:
        """The confidence below which the agent abstains: for a label, the card may need more."""
        if self.abstain_threshold is not None:
            return self.abstain_threshold
        usual = calibration.get("abstain_threshold", DEFAULT_THRESHOLD)
        return max(usual, calibration.get(f"{NEEDED}{normalised_label(label)}", 0.0))
