"""What writing the instructions will take, before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from videopath.dataset.instructions.replies import read_replies
from videopath.dataset.options import NO_MODEL, InstructionOptions
from videopath.dataset.set_folder import SetFolder

if TYPE_CHECKING:
    from videopath.model.inference.engine import EngineInfo

_USUAL, _MOST = 2.5, 8  # requests for a clip: written and rated; both once more, each with a repair
_OWN = 2  # in VideoPath's own wording
_TOKENS_OF_FRAME = 500  # servers count between 250 and 1,200 for a picture of a refined clip
_PROMPT_TOKENS, _ANSWER_TOKENS = 900, 450


@dataclass(frozen=True)
class Estimate:
    """What a model is asked, and what that costs."""

    requests: int
    """As many as are usual: a quarter of the clips is written twice."""
    tokens: int
    """Of questions with their frames, and of answers."""
    cost: float
    """In the currency of ``options.price``; 0 if no price is given."""
    sentence: str
    most_requests: int = 0
    """If every answer has to be repaired and every pair written twice."""
    seconds: float | None = None
    """None if no request has been measured yet."""


def estimate(
    clips: int,
    options: InstructionOptions,
    info: EngineInfo | None = None,
    seconds_per_request: float | None = None,
) -> Estimate:
    """Estimate what writing the instructions of some clips takes. Answers that are kept already are not taken off.

    Args:
        clips: Number of clips.
        options: The model, the frames of a clip, and the price of 1,000 tokens.
        info: The model's facts if it is loaded; VideoPath's own models are asked less.
        seconds_per_request: How long a request takes, see :func:`measured_seconds`.
    """
    if options.model == NO_MODEL:
        return Estimate(
            0, 0, 0.0, f"No model writes: {2 * clips:,} drafts are made for a person to finish, at no cost."
        )
    by_itself = info.wording == "videopath" if info is not None else options.model == "nano"
    requests = clips * _OWN if by_itself else round(clips * _USUAL)
    most = clips * (_OWN if by_itself else _MOST)
    each = options.frames * _TOKENS_OF_FRAME + _PROMPT_TOKENS + _ANSWER_TOKENS
    tokens = requests * each
    cost = tokens / 1000 * options.price
    seconds = None if seconds_per_request is None else requests * seconds_per_request
    return Estimate(
        requests,
        tokens,
        cost,
        _sentence(clips, options, requests, most, tokens, cost, seconds),
        most,
        seconds,
    )


def measured_seconds(folder: SetFolder) -> float | None:
    """Return how long a request took in this set so far, in seconds (median); None if there was none."""
    seconds = [
        reply.seconds
        for recording in folder.recordings()
        for reply in read_replies(folder.replies(recording))
    ]
    return median(seconds) if seconds else None


def _sentence(
    clips: int,
    options: InstructionOptions,
    requests: int,
    most: int,
    tokens: int,
    cost: float,
    seconds: float | None,
) -> str:
    count = "1 clip" if clips == 1 else f"{clips:,} clips"
    asked = f"about {requests:,} requests" + (f", at most {most:,}" if most > requests else "")
    price = (
        f"about {cost:,.2f} at {options.price:g} for 1,000 tokens" if options.price else "no price is given"
    )
    time = "" if seconds is None else f" It takes about {_duration(seconds)} at the speed so far."
    return (
        f"{options.model} writes the instructions of {count}: {asked}, about {tokens:,} tokens, {price}. "
        f"Answers that are kept from an earlier run are not asked for again.{time}"
    )


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
