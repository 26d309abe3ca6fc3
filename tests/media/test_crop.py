"""A part of the frame as people give it: shares or pixels."""

from __future__ import annotations

import pytest

from videopath.core.errors import InputError
from videopath.media.crop import as_shares, parse_crop, touches, within


def test_shares_and_pixels() -> None:
    assert as_shares(parse_crop("0.1, 0, 0.9,1"), 640, 480) == (0.1, 0, 0.9, 1)
    assert as_shares(parse_crop("64,48,320,480"), 640, 480) == (0.1, 0.1, 0.5, 1.0)
    assert as_shares((0, 0, 1, 1), 640, 480) == (0, 0, 1, 1), "the whole frame, not one pixel"


@pytest.mark.parametrize(
    "text",
    ["", "all", "0,0,1", "0,0,1,1,1", "0.5,0,0.5,1", "0.9,0,0.1,1", "0,1,1,0", "-0.1,0,1,1", "0,0,nan,1", "0,0,inf,1", "1e400,0,1,1"],
)  # fmt: skip
def test_what_encloses_nothing_is_rejected_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="give left,top,right,bottom: shares"):
        parse_crop(text)


def test_pixels_outside_of_the_frame_are_rejected() -> None:
    with pytest.raises(InputError, match="over the frame, which has 640 × 480"):
        as_shares((0, 0, 641, 480), 640, 480)


def test_a_crop_of_a_crop_lies_inside_it() -> None:
    assert within((0.5, 0.0, 1.0, 0.5), (0.5, 0.5, 1.0, 1.0)) == (0.75, 0.25, 1.0, 0.5)
    assert touches((0.0, 0.0, 0.2, 0.2), (0.1, 0.1, 1.0, 1.0))
    assert not touches((0.0, 0.0, 0.1, 0.2), (0.1, 0.0, 1.0, 1.0)), "a shared border is no shared part"
