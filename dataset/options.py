"""The options of a build. Each stage's result is kept with a hash of the options that it depends on."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import CursorRule, WritingRule

NO_MODEL = "none"
"""The name of a model that writes no instructions: drafts for a person are made instead."""


class TranscriptOptions(BaseModel):
    """Where the words come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speech: str = Field("", description="a faster-whisper model by path or name; empty: subtitles alone")
    language: str = Field(
        "", description="ISO 639-1 code of the spoken language; empty: found by the speech model"
    )


class SegmentOptions(BaseModel):
    """How a recording is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cuts: Path | None = Field(
        None, description="a CSV of corrected cuts; None: SET/cuts.csv if it was changed"
    )
    shortest: float = Field(1.0, gt=0, description="seconds; a shorter slide view is no case")


class ClipOptions(BaseModel):
    """How clips are refined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fps: float = Field(2.0, ge=1, le=5)
    writing: WritingRule = "mask-all"
    cursor: CursorRule = "leave"
    field: str = Field("colour", description='"colour", or the path of a YOLO model in ONNX format')
    key_seconds: float = Field(6.0, gt=0, description="longest keyframe clip")
    key_clips: int = Field(3, ge=0, description="keyframe clips per case at most")


class InstructionOptions(BaseModel):
    """Who writes the instructions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(NO_MODEL, description='any model that load_engine knows; "none": drafts for a person')
    device: str | None = None
    frames: int = Field(8, ge=1, le=64, description="frames of a clip that the model sees")
    least_quality: int = Field(
        3, ge=0, le=5, description="a pair that is rated lower is written once more, then dropped"
    )
    price: float = Field(0.0, ge=0, description="price of 1,000 tokens, for the estimate")


class SetOptions(BaseModel):
    """How the set is checked, split and described."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "videopath-set"
    licence: str = Field("not stated", description="of the recordings; SPDX or a sentence")
    seed: int = 0
    test_share: float = Field(0.2, ge=0, lt=1)
    validation_share: float = Field(0.1, ge=0, lt=1)


class BuildOptions(BaseModel):
    """All options of a build, by stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transcript: TranscriptOptions = TranscriptOptions()
    segments: SegmentOptions = SegmentOptions()
    clips: ClipOptions = ClipOptions()
    instructions: InstructionOptions = InstructionOptions()
    set: SetOptions = SetOptions()
