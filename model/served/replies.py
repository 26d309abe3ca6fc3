"""Answers of servers: the fields that are used, checked before use. Unknown fields are ignored."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _none_as_empty(value: object) -> object:
    return [] if value is None else value


def _none_as_fields(value: object) -> object:
    return {} if value is None else value


def _as_finite(value: object) -> object:
    """Return the value of servers that cannot write minus infinity: they write null, or the number itself."""
    return LOWEST if value is None or value == -math.inf else value


LOWEST = -9999.0
"""The log-probability of what cannot occur, as vLLM writes it."""
LogProb = Annotated[FiniteFloat, Field(le=1e-3), BeforeValidator(_as_finite)]
"""A natural-log probability; a server's rounding may put it a little above 0."""


class Alternative(_Reply):
    """A token that could stand at a place, with its natural-log probability."""

    token: str
    logprob: LogProb


class WrittenToken(_Reply):
    """A token of the answer, with the most probable tokens at its place."""

    token: str = ""
    logprob: LogProb
    top_logprobs: Annotated[list[Alternative], BeforeValidator(_none_as_empty)] = []


class _Logprobs(_Reply):
    content: Annotated[list[WrittenToken], BeforeValidator(_none_as_empty)] = []


class _Message(_Reply):
    content: str | None = None


class _CachedTokens(_Reply):
    cached_tokens: int | None = Field(None, ge=0)


class Usage(_Reply):
    """Tokens as the server counts them."""

    prompt_tokens: int | None = Field(None, ge=0)
    completion_tokens: int | None = Field(None, ge=0)
    prompt_tokens_details: _CachedTokens | None = None


class Choice(_Reply):
    """One answer."""

    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None

    @property
    def text(self) -> str:
        """The text of the answer."""
        return self.message.content or ""

    @property
    def tokens(self) -> list[WrittenToken]:
        """The tokens of the answer; empty if the server gives none."""
        return self.logprobs.content if self.logprobs else []


class PromptToken(_Reply):
    """A token at a place of the prompt, as vLLM reports it."""

    logprob: LogProb
    rank: int | None = None
    decoded_token: str | None = None


class ChatReply(_Reply):
    """The answer to a chat request."""

    choices: list[Choice] = Field(min_length=1)
    prompt_logprobs: Annotated[list[dict[str, PromptToken] | None], BeforeValidator(_none_as_empty)] = []
    """Token id → token for each place of the prompt: the prompt's own token, and perhaps the most probable one."""
    usage: Usage | None = None

    @property
    def first(self) -> Choice:
        """The first answer."""
        return self.choices[0]


class ChunkChoice(_Reply):
    """A piece of an answer."""

    delta: Annotated[_Message, BeforeValidator(_none_as_fields)] = _Message()
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None

    @property
    def tokens(self) -> list[WrittenToken]:
        """The tokens of the piece; empty if the server gives none."""
        return self.logprobs.content if self.logprobs else []


class ChatChunk(_Reply):
    """A message of a stream."""

    choices: Annotated[list[ChunkChoice], BeforeValidator(_none_as_empty)] = []
    usage: Usage | None = None


class ModelEntry(_Reply):
    """A model that a server lists. The time of creation is left out: several servers report the time of the request."""

    id: str
    root: str | None = None
    owned_by: str | None = None
    max_model_len: int | None = None
    meta: dict[str, object] | None = None


class ModelList(_Reply):
    """The models that a server lists."""

    data: Annotated[list[ModelEntry], BeforeValidator(_none_as_empty)] = []


class OptionProbabilities(_Reply):
    """The answer to one choice of ``/systemone``."""

    probabilities: dict[str, Annotated[FiniteFloat, Field(ge=0, le=1)]]


class SystemOneReply(_Reply):
    """The answers of ``/systemone``, by question."""

    answers: dict[str, OptionProbabilities]
