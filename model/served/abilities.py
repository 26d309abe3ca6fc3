"""What a server can do: found out by asking it, once for each engine, in one to five small requests."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from videopath.core.errors import EngineError, InputError, ModelError
from videopath.core.settings import EngineSettings
from videopath.model.served.choice import letter_probabilities
from videopath.model.served.connection import Connection, Json, RequestRejected
from videopath.model.served.frames import EncodedFrames, picture_text
from videopath.model.served.replies import ChatReply, SystemOneReply
from videopath.model.served.scoring import (
    LEAST_LETTER_MASS,
    LetteredChoice,
    SampledAnswers,
    Scorer,
    SystemOneChoice,
    TokenProbabilities,
    first_alternatives,
    tail_logprobs,
)

_log = logging.getLogger(__name__)

_MOST_ALTERNATIVES = 20  # the most that OpenAI's protocol allows
_FEW_ALTERNATIVES = 5  # some servers allow no more
_PICTURE_SIDE = 64
_QUESTION = "Which of these is a colour?\nA. red\nB. seven\nAnswer with one letter only."
_PREFIX = "The letter is"
_UNKNOWN_MODEL = 404
_FRAME = "<videopath-frame-"  # the beginning of a picture's name
_LIMIT_OF_LOGPROBS = re.compile(r"logprobs\b.*\d", re.IGNORECASE | re.DOTALL)
"""A server's words that so many alternatives are too many."""

CONTINUED = {"add_generation_prompt": False, "continue_final_message": True}
"""Fields that make a server continue the last message, which is the assistant's."""


@dataclass(frozen=True)
class Abilities:
    """What a server can do with a model."""

    video: bool = False
    """Frames may go as one ``video_url``."""
    logprobs: bool = False
    """It gives the log-probabilities of the tokens that it writes."""
    top_logprobs: int = 0
    """How many alternatives of a token it may be asked for, if a lettered choice can be read from them."""
    prompt_logprobs: bool = False
    """It gives the log-probabilities of a prompt, and continues the assistant's message."""
    system_one: bool = False
    """It has ``/systemone``."""
    lenient: bool = False
    """It accepts fields that are not in OpenAI's protocol."""

    @property
    def continues(self) -> bool:
        """Whether an answer can be begun for the model. Only the prompt's tokens prove that a server does it."""
        return self.prompt_logprobs


def probe(connection: Connection, model: str, settings: EngineSettings) -> Abilities:
    """Ask a server with a tiny picture what it can do.

    Raises:
        ModelError: The server does not know the model, or the model takes no pictures (or no video, if that is demanded).
        EngineError: The server does not answer, or not by the protocol.
    """
    try:
        abilities = _chat_abilities(connection, model, settings, video=bool(settings.video))
    except RequestRejected as error:
        if settings.video is True or error.status == _UNKNOWN_MODEL:
            raise _cannot_see(
                connection, model, "a video" if settings.video else "a picture", error
            ) from error
        if not settings.video:
            raise _cannot_see(connection, model, "a picture", error) from error
        abilities = _chat_abilities(connection, model, settings, video=False)
    if not (abilities.prompt_logprobs or abilities.top_logprobs):
        abilities = replace(abilities, system_one=_has_system_one(connection, model))
    _log.info("The server at %s can do this with %s: %s.", connection.address, model, abilities)
    return abilities


def _cannot_see(connection: Connection, model: str, what: str, error: RequestRejected) -> ModelError:
    reason = f"{error.status}: {error.reason}" if error.reason else str(error.status)
    return ModelError(
        f"The model {model!r} at {connection.address} cannot be asked about {what} ({reason}); choose another, or correct "
        "its name."
    )


def _chat_abilities(
    connection: Connection, model: str, settings: EngineSettings, *, video: bool
) -> Abilities:
    """Return the abilities that the answers to a question about a tiny picture or video show.

    The first request has every field that may be useful. Servers that reject unknown fields get fewer and fewer.

    Raises:
        RequestRejected: The server rejects the plainest request as well.
    """
    frames = _tiny_frames(2 if video else 1)
    content = [*(frames.as_video() if video else frames.as_pictures()), {"type": "text", "text": _QUESTION}]
    body: Json = {
        **settings.extra_body,
        **(frames.video_settings() if video else {}),
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 1,
        "temperature": 0.0,
    }
    begun = [*body["messages"], {"role": "assistant", "content": _PREFIX}]
    everything: Json = {**CONTINUED, "messages": begun, "prompt_logprobs": 1, "logprobs": True}
    attempts: list[Json] = [everything, {"logprobs": True}, {}]
    abilities, most = Abilities(video=video), _MOST_ALTERNATIVES
    while attempts:
        fields = attempts[0] | ({"top_logprobs": most} if attempts[0] else {})
        try:
            reply = connection.chat({**body, **fields})
        except RequestRejected as error:
            if error.status == _UNKNOWN_MODEL or not fields:
                raise
            if most > _FEW_ALTERNATIVES and _LIMIT_OF_LOGPROBS.search(error.reason):
                most = _FEW_ALTERNATIVES
            else:
                attempts.pop(0)
            continue
        abilities = replace(
            abilities,
            **_written(reply, most),
            prompt_logprobs=_ends_with_prefix(reply),
            lenient=abilities.lenient or attempts[0] is everything,
        )
        if len(attempts) < 3 or not abilities.logprobs or abilities.top_logprobs or abilities.continues:
            break
        attempts.pop(0)  # the begun answer may have confused a server that does not continue it
    return abilities


def _ends_with_prefix(reply: ChatReply) -> bool:
    try:
        return bool(tail_logprobs(reply.prompt_logprobs, _PREFIX, ""))
    except EngineError:
        return False


def _written(reply: ChatReply, most: int) -> dict[str, Any]:
    """Return what the answer says about the tokens that the server writes, of which ``most`` alternatives were asked for."""
    alternatives = first_alternatives(reply.first)
    masses = letter_probabilities(alternatives, 2) if len(alternatives) > 1 else None
    readable = masses is not None and sum(masses) >= LEAST_LETTER_MASS
    return {"logprobs": bool(alternatives), "top_logprobs": most if readable else 0}


def _has_system_one(connection: Connection, model: str) -> bool:
    body = system_one_body(
        model,
        _tiny_frames(1),
        "Look at the picture.",
        {
            "colour": {
                "type": "choice",
                "instructions": "Which is a colour?",
                "criteria": {"red": None, "seven": None},
            }
        },
    )
    try:
        answers = connection.post(SystemOneReply, "/systemone", body).answers
    except EngineError as error:
        if error.retryable:
            raise
        _log.debug("No /systemone at %s: %s", connection.address, error)
        return False
    return "colour" in answers and set(answers["colour"].probabilities) == {"red", "seven"}


def system_one_body(
    model: str, frames: EncodedFrames, text: str, questions: dict[str, dict[str, Any]]
) -> Json:
    """Return a request for ``/systemone``: frames with their labels, then the text, and questions about it.

    A picture stands where its name stands in the text, so these names are removed from everything else.
    """
    names = [f"{_FRAME}{number}>" for number in range(1, len(frames) + 1)]
    lines = [f"{label} {name}" for label, name in zip(frames.labels(), names, strict=True)]
    return {
        "model": model,
        "state": "\n".join([*lines, text.replace(_FRAME, "")]),
        "questions": json.loads(json.dumps(questions).replace(_FRAME, "")),
        "assets": {
            name: {"type": "image", "format": frames.image_format, "data_base64": picture}
            for name, picture in zip(names, frames.pictures, strict=True)
        },
    }


def scorer_of(abilities: Abilities, settings: EngineSettings) -> Scorer:
    """Return the way to score candidates: the one that the settings demand, or the best that the server offers.

    A model of the VideoPath family answers in words, so its tokens' probabilities come first. Any other model is asked
    a lettered choice first: that is two requests instead of one a candidate, and the server's prefix cache serves them.

    Raises:
        InputError: The server does not offer what the settings demand.
    """
    tokens = TokenProbabilities() if abilities.prompt_logprobs else None
    letters: Scorer | None = None
    if abilities.top_logprobs > 1:
        letters = LetteredChoice(abilities.top_logprobs, settings.orders)
    elif abilities.system_one:
        letters = SystemOneChoice()
    sampled = SampledAnswers(settings.orders)
    preferred = (tokens, letters) if settings.wording == "videopath" else (letters, tokens)
    offered: list[Scorer] = [*(one for one in preferred if one is not None), sampled]
    if settings.scoring == "auto":
        return offered[0]
    for scorer in offered:
        if scorer.scoring == settings.scoring:
            return scorer
    raise InputError(
        f"The server at {settings.address} offers no scoring by {settings.scoring}; it offers "
        f"{' and '.join(scorer.scoring for scorer in offered)}."
    )


def _tiny_frames(count: int) -> EncodedFrames:
    grey = np.full((_PICTURE_SIDE, _PICTURE_SIDE, 3), 200, np.uint8)
    picture = picture_text(grey, _PICTURE_SIDE, "jpeg")
    return EncodedFrames(tuple(map(float, range(count))), (picture,) * count, "jpeg")
