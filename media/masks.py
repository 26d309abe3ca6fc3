"""What a person changes of the places that are filled: further places, and found ones that are left as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, field_validator

from videopath.core.errors import InputError
from videopath.media.crop import Crop, as_shares, checked_crop, in_pixels, parse_crop

MAX_MASKS = 50
"""Places of each kind."""
_MOSTLY = 0.7  # of a found place that lies inside of a cleared one


class Masks(BaseModel):
    """Changes to the filled places of a video; a place is (left, top, right, bottom) of the whole frame.

    The numbers are shares in [0, 1], or pixels if one of them is above 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    drawn: tuple[Crop, ...] = ()
    """Places that are filled in every frame, whatever the rule for writing is."""
    cleared: tuple[Crop, ...] = ()
    """Places in which found writing is not filled, at any time: what stands there stays readable."""

    @field_validator("drawn", "cleared")
    @classmethod
    def _usable(cls, places: tuple[Crop, ...]) -> tuple[Crop, ...]:
        if len(places) > MAX_MASKS:
            raise ValueError(f"at most {MAX_MASKS} places are allowed, not {len(places)}")
        try:
            return tuple(checked_crop(place) for place in places)
        except InputError as error:
            raise ValueError(str(error).replace("The crop", "The mask")) from error

    def __bool__(self) -> bool:
        """Return whether anything is changed."""
        return bool(self.drawn or self.cleared)

    @property
    def in_pixels(self) -> bool:
        """Whether one of the places is in pixels."""
        return any(in_pixels(place) for place in (*self.drawn, *self.cleared))

    def as_shares(self, width: int, height: int) -> Self:
        """Return the same places as shares of a frame with this width and height in pixels.

        Raises:
            InputError: A place reaches over the frame.
        """
        try:
            return type(self)(
                drawn=tuple(as_shares(place, width, height) for place in self.drawn),
                cleared=tuple(as_shares(place, width, height) for place in self.cleared),
            )
        except InputError as error:
            raise InputError(str(error).replace("The crop", "The mask")) from error

    def clears(self, box: Crop) -> bool:
        """Return whether most of a found place, as shares, lies inside of a cleared place."""
        return any(_overlap(box, place) >= _MOSTLY for place in self.cleared)


def parse_masks(drawn: Iterable[str], cleared: Iterable[str] = ()) -> Masks | None:
    """Read places that a person typed, each as left,top,right,bottom; None if there is none.

    Raises:
        InputError: One of them is not four numbers that enclose a part of a frame, or there are too many.
    """
    try:
        places = [tuple(parse_crop(text) for text in texts) for texts in (drawn, cleared)]
    except InputError as error:
        raise InputError(str(error).replace("The crop", "The mask")) from error
    if max(map(len, places)) > MAX_MASKS:
        raise InputError(f"At most {MAX_MASKS} masks are allowed.")
    return Masks(drawn=places[0], cleared=places[1]) or None


def _overlap(box: Crop, place: Crop) -> float:
    """Return the share of a box that lies inside of a place."""
    width = min(box[2], place[2]) - max(box[0], place[0])
    height = min(box[3], place[3]) - max(box[1], place[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(width, 0.0) * max(height, 0.0) / area if area else 0.0
