"""What each stage of a build finds out about a recording, as JSON that a person can read.

Times are seconds of the recording; boxes are shares of its displayed frame. No record holds a person's data.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import ClipProduct, CursorRule, ScreenKind, WritingRule
from videopath.media.crop import Crop
from videopath.media.writing.records import Writing


class StageRecord(BaseModel):
    """Base class that rejects unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Recording(StageRecord):
    """A raw recording, as it was found in the folder."""

    id: str = Field(description="the first 16 hex digits of the file's hash; names its folder and its clips")
    path: str = Field(description="relative to the folder of recordings; names of persons are hashed")
    sha256: str
    seconds: float = Field(ge=0)
    width: int
    height: int
    fps: float
    notes: tuple[str, ...] = Field((), description="what is unusual about how the file is read")


class PassedOver(StageRecord):
    """A file that could not be used. The other files of the folder are not affected."""

    path: str
    reason: str


# Transcript


class Cue(StageRecord):
    """Words that are spoken between two moments."""

    start: float
    end: float
    text: str


class Transcript(StageRecord):
    """The words of a recording; a person's data in them is masked."""

    origin: Literal["subtitle file", "subtitles in the video", "speech recognition", "none"]
    language: str = Field("", description="ISO 639-1; empty if it is not known")
    model: str = Field("", description="the speech model; empty for subtitles")
    sentence: str = Field(description="where the words come from, or why there are none")
    cues: tuple[Cue, ...] = ()
    masked: int = Field(0, ge=0, description="how many pieces of a person's data were masked")


# Segments


class Segment(StageRecord):
    """A part of a recording that shows one kind of screen."""

    start: float
    end: float
    kind: ScreenKind
    case: int | None = Field(None, ge=1, description="number of the case that a slide view belongs to")
    title: str = Field("", description="the words of a title card, or of the card before a case, as shown")


class Segments(StageRecord):
    """A recording cut into segments, in order, without gaps."""

    segments: tuple[Segment, ...]
    corrected: bool = Field(False, description="whether a person corrected the cuts")

    @property
    def slides(self) -> list[Segment]:
        """The segments that show a slide."""
        return [segment for segment in self.segments if segment.kind == "slide"]


# Refined clips


class RefinedClip(StageRecord):
    """A clip cut out of a recording: the field alone, writing filled, a low frame rate, without sound."""

    id: str = Field(description='"<recording>-case-1" or "<recording>-case-1-key-2"')
    product: ClipProduct
    file: str = Field(description="relative to the set's folder")
    sha256: str
    start: float
    end: float
    case: int
    title: str = ""
    fps: float
    frames: int
    width: int
    height: int
    crop: Crop = Field(description="the field, as shares of the recording's frame")
    crop_by: str = Field(description='"colour and stain", or the file name and hash of a detector')
    writing: WritingRule
    erased: tuple[Writing, ...] = Field(
        (), description="what was filled; boxes as shares of the recording's frame"
    )
    cursor: CursorRule
    fingerprints: tuple[str, ...] = Field((), description="perceptual hashes of some frames, hex")


class Clips(StageRecord):
    """All refined clips of a recording."""

    clips: tuple[RefinedClip, ...]
    contact_sheet: str = Field("", description="relative to the set's folder")


# Instructions


class InstructionPair(StageRecord):
    """A question about a clip with its answer."""

    id: str
    clip: str = Field(description="id of the refined clip")
    about: Literal["description", "diagnosis"]
    question: str
    answer: str
    reasoning: str = Field(
        "", description="what is seen, what it means, what speaks against it: the steps to the answer"
    )
    given_away: tuple[str, ...] = Field(
        (),
        description="what the narrator, the title card or burned-in writing said that the picture alone does not show",
    )
    blind: bool = Field(
        description="whether the answer rests on the picture alone, so that a model without the words can be tested with it"
    )
    origin: Literal["model", "draft", "person"] = Field(
        description="draft: sentences of the transcript that a person has not finished yet; never part of the set"
    )
    model: str = ""
    quality: int | None = Field(None, ge=0, le=5, description="by a second pass; None: not rated")
    rounds: int = Field(1, ge=1, description="how often it was written")


class Instructions(StageRecord):
    """All pairs of a recording, drafts included."""

    pairs: tuple[InstructionPair, ...]
    dropped: tuple[PassedOver, ...] = Field((), description="pairs that were rated below 3 twice, by id")
