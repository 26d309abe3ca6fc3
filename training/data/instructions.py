"""Instruction data in the LLaVA format: conversations about an image, several images, a video, or nothing but words.

A file is a JSON list or JSON lines; a mixture is a YAML file of several, each with how much of it is taken, as LLaVA-NeXT
writes them (``datasets: [{json_path, sampling_strategy}]``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from videopath.core.errors import InputError
from videopath.core.jsonl import JsonEntry, json_entries
from videopath.core.yamltext import parse_yaml
from videopath.model.prompts.template import IMAGE_TAG, TURN_MARKS

Modality = Literal["text", "image", "images", "video"]


class Turn(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    speaker: Literal["human", "gpt"] = Field(alias="from")
    text: str = Field(alias="value")


class Instruction(BaseModel):
    """A conversation and what it is about. Fields that are not known are left alone."""

    model_config = ConfigDict(frozen=True)

    id: str = ""
    image: tuple[str, ...] = ()
    """Paths, relative to the media folder."""
    video: str | None = None
    conversations: tuple[Turn, ...]

    @field_validator("id", mode="before")
    @classmethod
    def _any_id(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("image", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value if value is not None else ()

    @model_validator(mode="after")
    def _is_a_conversation(self) -> Instruction:
        if self.image and self.video:
            raise ValueError("it has an image and a video; split it in two")
        turns = self.conversations
        if len(turns) < 2:
            raise ValueError("it has no question with an answer")
        for number, turn in enumerate(turns):
            if turn.speaker != ("human", "gpt")[number % 2]:
                raise ValueError(
                    f"turn {number + 1} is of {turn.speaker}: human and gpt take turns, human first"
                )
            if not turn.text.strip():
                raise ValueError(f"turn {number + 1} is empty")
            if any(mark in turn.text for mark in TURN_MARKS):
                raise ValueError(
                    f"turn {number + 1} holds a mark of the template ({' or '.join(TURN_MARKS)})"
                )
        if len(turns) % 2:
            raise ValueError("its last question has no answer")
        marks = sum(turn.text.count(IMAGE_TAG) for turn in turns)
        if marks != len(self.media):
            raise ValueError(f"it has {marks} {IMAGE_TAG} marks and {len(self.media)} images or videos")
        if any(IMAGE_TAG in turn.text for turn in turns if turn.speaker == "gpt"):
            raise ValueError(f"an answer holds {IMAGE_TAG}")
        return self

    @property
    def media(self) -> tuple[str, ...]:
        """Paths of what is shown, in the order of their marks."""
        return (self.video,) if self.video else self.image

    @property
    def modality(self) -> Modality:
        """What is shown."""
        if self.video:
            return "video"
        return ("text", "image")[len(self.image)] if len(self.image) < 2 else "images"

    @property
    def words(self) -> int:
        """Words of the conversation: how long it is, before anything is tokenised."""
        return sum(len(turn.text.split()) for turn in self.conversations)


class Source(BaseModel):
    """One file of a mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    json_path: Path
    sampling_strategy: str = Field(
        "all",
        pattern=r"^(all|(first|end|random):\d{1,12}%?)$",
        description="all, or first, end or random with a number or a percentage: random:25%",
    )


class _Mixture(BaseModel):
    datasets: list[Source] = Field(min_length=1)


def read_instructions(path: Path, seed: int = 0) -> list[Instruction]:
    """All conversations of a file or a mixture, in order. Raises ``InputError`` that names the first wrong one."""
    found = []
    for _, entry in entries(path, seed):
        if isinstance(entry, InputError):
            raise entry
        found.append(entry)
    if not found:
        raise InputError(f"{path} holds no conversation.")
    return found


def entries(path: Path, seed: int = 0) -> Iterator[tuple[str, Instruction | InputError]]:
    """Where each conversation stands, and it or what is wrong with it.

    Raises ``InputError`` for what is wrong with a file as a whole.
    """
    for source in sources(path):
        file = source.json_path
        for item in _taken(list(json_entries(file)), source.sampling_strategy, seed):
            place = f"Conversation {item.number} of {file.name}"
            if item.problem:
                yield place, InputError(item.problem)
                continue
            try:
                yield place, Instruction.model_validate(item.value)
            except ValidationError as error:
                yield place, InputError(f"{place} is not usable: {_reason(error)}.")


def sources(path: Path) -> list[Source]:
    """The files of a mixture, with their paths made whole; of a plain file, itself."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        return [Source(json_path=path)]
    try:
        mixture = _Mixture.model_validate(parse_yaml(path.read_bytes(), str(path)))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValidationError as error:
        raise InputError(f"The mixture {path} is not usable: {_reason(error)}.") from error
    return [s.model_copy(update={"json_path": path.parent / s.json_path}) for s in mixture.datasets]


def _taken(items: Sequence[JsonEntry], strategy: str, seed: int) -> Sequence[JsonEntry]:
    if strategy == "all":
        return items
    how, _, amount = strategy.partition(":")
    share = amount.endswith("%")
    count = math.ceil(int(amount[:-1]) * len(items) / 100) if share else int(amount)
    if how == "first":
        return items[:count]
    if how == "end":
        return items[max(0, len(items) - count) :]
    chosen = random.Random(seed).sample(range(len(items)), min(count, len(items)))
    return [items[place] for place in sorted(chosen)]


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    told = first["msg"].removeprefix("Value error, ")
    return f"{place}: {told}" if place else told
