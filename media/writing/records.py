"""What is known about burned-in writing. What a line says is never kept, only why it was filled."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import WritingKind, WritingRule
from videopath.media.crop import Crop


class Writing(BaseModel):
    """One line or block of writing, or one bar code or QR code."""

    model_config = ConfigDict(frozen=True)

    box: Crop = Field(description="left, top, right, bottom as shares of the whole frame, in [0, 1]")
    seconds: list[float] = Field(description="presentation times of the searched frames that show it")
    share: float = Field(ge=0, le=1, description="share of the frame that the box covers")
    kind: WritingKind = "label"
    reason: str = Field(
        "writing", description='why it has its kind, such as "a record number"; never its text'
    )
    filled: bool = Field(False, description="whether it was filled before anything else saw the frames")


class BurnedIn(BaseModel):
    """All burned-in writing of a clip."""

    model_config = ConfigDict(frozen=True)

    writings: list[Writing]
    share: float = Field(
        ge=0, le=1, description="share of the frame that writing covers, in the frame with most of it"
    )
    sentence: str
    rule: WritingRule = Field("keep", description="which writing was filled")
