"""What is known of writing, if only a part of the frame is looked at."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from videopath.media.crop import Crop, touches, within
from videopath.media.writing.records import BurnedIn, Writing
from videopath.media.writing.search import find_writing, sentence_on

if TYPE_CHECKING:
    from videopath.media.clip import Clip


def writing_of(clip: Clip, crop: Crop | None) -> BurnedIn:
    """Return the writing that was found while a clip was opened; if its writing was kept, it is searched now.

    Args:
        clip: The clip.
        crop: The part of the frame that the clip shows.
    """
    if clip.writing is not None:
        return clip.writing
    found = find_writing(clip)
    return found if crop is None else placed(found, crop, clip.seconds.tolist(), clip.kind == "image")


def touching(found: BurnedIn, crop: Crop, looked_at: list[float], still: bool) -> BurnedIn:
    """Return only the writing that lies in a crop of the frame, at least in part.

    Args:
        found: The writing of the whole frame.
        crop: The part of the frame.
        looked_at: Times of the searched frames.
        still: Whether it is a picture, not a video.
    """
    writings = [writing for writing in found.writings if touches(writing.box, crop)]
    return found if len(writings) == len(found.writings) else _of(found, writings, looked_at, still)


def placed(found: BurnedIn, crop: Crop, looked_at: list[float], still: bool) -> BurnedIn:
    """Return writing that was found in a crop with its boxes as shares of the whole frame."""
    area = (crop[2] - crop[0]) * (crop[3] - crop[1])
    writings = [
        writing.model_copy(update={"box": within(crop, writing.box), "share": writing.share * area})
        for writing in found.writings
    ]
    return _of(found, writings, looked_at, still)


def _of(found: BurnedIn, writings: list[Writing], looked_at: list[float], still: bool) -> BurnedIn:
    shares: dict[float, float] = defaultdict(float)
    for writing in writings:
        for second in writing.seconds:
            shares[second] += writing.share
    share = min(found.share, max(shares.values(), default=0.0))
    sentence = sentence_on(writings, share, looked_at, still)
    return BurnedIn(writings=writings, share=share, sentence=sentence, rule=found.rule)
