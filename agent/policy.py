"""The policy: how careful the agent is. It is kept with the case, so a resumed case continues under the same policy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import MAX_ANSWER_TOKENS, MAX_LOOKS, MAX_NEIGHBOURS, MAX_SAMPLES, ReviewMode
from videopath.model.calibration import Calibration
from videopath.tools.context import ContextRules


class Policy(BaseModel):
    """Thresholds and limits of the agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review: ReviewMode = Field("never", description="when a person is asked before the report")
    abstain_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="confidence below which the agent abstains; None: the threshold of the model card",
    )
    max_looks: int = Field(
        MAX_LOOKS,
        ge=0,
        le=MAX_LOOKS,
        description="most closer looks, taken while the confidence is below the threshold",
    )
    samples: int = Field(
        3, ge=0, le=MAX_SAMPLES, description="number of sampled answers that are compared with the diagnosis"
    )
    neighbours: int = Field(
        5, ge=0, le=MAX_NEIGHBOURS, description="number of similar cases to search; 0: no search"
    )
    context: ContextRules = Field(default_factory=ContextRules, description="when a similar case is evidence")
    description_tokens: int = Field(256, ge=1, le=MAX_ANSWER_TOKENS)
    answer_tokens: int = Field(128, ge=1, le=MAX_ANSWER_TOKENS)
    accept_uncalibrated: bool = Field(
        False, description="give out answers of a model whose confidence was never fitted"
    )
    show_blank: bool = Field(
        True, description="abstain if the model gives the same diagnosis to a blank video"
    )
    accept_any_image: bool = Field(False, description="continue if the quality gate rejects the video")

    def threshold(self, calibration: Calibration, label: str = "") -> float:
        """Return the confidence below which the agent abstains; a label may need more than the others."""
        return calibration.threshold(label) if self.abstain_threshold is None else self.abstain_threshold
