"""The messages between the viewer in the browser and its page: what it is sent, and each event that comes back."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from videopath.core.choices import MARK_CLASSES, MarkClass
from videopath.core.text import has_half_characters

_Message = TypeVar("_Message", bound="Message")

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

MAX_ANNOTATIONS = 200
"""Annotations of a case."""
MAX_NOTE = 500
"""Characters of a note."""
_COORDINATES = {"point": 2, "box": 4, "line": 4}


class Message(BaseModel):
    """Base class: unknown fields, and text in place of numbers, are rejected."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Picture(Message):
    """A picture that the browser can load."""

    seconds: _Seconds
    url: str


class FindingMark(Message):
    """A finding in the list, and on the timeline if it has a moment."""

    number: int = Field(ge=1)
    text: str
    basis: str
    seconds: _Seconds | None = None


class LookMark(Message):
    """A look at a part of the video or of the frame."""

    label: str
    start: _Seconds
    end: _Seconds
    crop: list[_Share] | None = None


class Drawn(Message):
    """A point, a box or a line on a frame, with what it shows and its note."""

    seconds: _Seconds
    shape: Literal["point", "box", "line"]
    place: list[_Share]
    shows: MarkClass | None = None
    note: str = Field(default="", max_length=MAX_NOTE)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if len(self.place) != _COORDINATES[self.shape]:
            raise ValueError(f"a {self.shape} has {_COORDINATES[self.shape]} coordinates")
        if has_half_characters(self.note):
            raise ValueError("the note has a character that is not valid text")
        return self


class ViewerData(Message):
    """What the viewer shows."""

    kind: Literal["video", "stills"]
    url: str = Field(default="", description="of the video; empty: only the stills are shown")
    duration: _Seconds
    fps: float = Field(gt=0, allow_inf_nan=False)
    width: int = Field(gt=0, description="pixels of the source")
    height: int = Field(gt=0)
    stills: list[Picture] = Field(default_factory=list, description="in the order of their moments")
    full: Picture | None = Field(default=None, description="the frame in full resolution that was asked for")
    problem: str = Field(default="", description="why the frame that was asked for cannot be shown")
    findings: list[FindingMark] = Field(default_factory=list)
    sampled: list[_Seconds] = Field(default_factory=list)
    looks: list[LookMark] = Field(default_factory=list)
    crop: list[_Share] | None = Field(
        default=None, description="the part of the frame that the case looks at"
    )
    annotations: list[Drawn] = Field(default_factory=list)
    may_annotate: bool = False
    classes: list[MarkClass] = Field(default=list(MARK_CLASSES), description="what a mark may show")
    segment: list[_Seconds] | None = Field(
        default=None, description="start and end in the review form; None: no segment can be chosen"
    )
    um_per_pixel: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    selected: int = Field(default=0, ge=0, description="number of the selected finding; 0: none")
    moment: _Seconds = Field(default=0.0, description="where the viewer begins")


class Selected(Message):
    """A finding was clicked."""

    number: int = Field(ge=0)


class Wanted(Message):
    """The frame of a moment is wanted in full resolution."""

    seconds: _Seconds


class AnnotationList(Message):
    """All annotations of the case, after a change."""

    items: list[Drawn] = Field(max_length=MAX_ANNOTATIONS)


class Used(Message):
    """A moment was chosen as the start or the end of the segment."""

    use: Literal["start", "end"]
    seconds: _Seconds


def received(kind: type[_Message], value: object) -> _Message | None:
    """Return an event of the browser; None if it is malformed, which the viewer never sends."""
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None
