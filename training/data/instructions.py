"""Instruction data in the LLaVA format: conversations about an image, several images or a video, or text alone.

A file is a JSON list or JSON lines. A mixture is a YAML file that names several files and how much of each is taken, as
in LLaVA-NeXT (``datasets: [{json_path, sampling_strategy}]``).
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
"""What a conversation is about."""


class ConversationMessage(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    speaker: Literal["human", "gpt"] = Field(alias="from")
    text: str = Field(alias="value")


class Instruction(BaseModel):
    """A conversation, and the pictures that it is about. Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True)

    id: str = ""
    image: tuple[str, ...] = ()
    """Paths, relative to the media folder."""
    video: str | None = None
    conversations: tuple[ConversationMessage, ...]

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
        messages = self.conversations
        if len(messages) < 2:
            raise ValueError("it has no question with an answer")
        for number, message in enumerate(messages):
            if message.speaker != ("human", "gpt")[number % 2]:
                raise ValueError(
                    f"turn {number + 1} is from {message.speaker}: human and gpt take turns, human first"
                )
            if not message.text.strip():
                raise ValueError(f"turn {number + 1} is empty")
            if any(mark in message.text for mark in TURN_MARKS):
                raise ValueError(
                    f"turn {number + 1} contains a special token of the template ({' or '.join(TURN_MARKS)})"
                )
        if len(messages) % 2:
            raise ValueError("its last question has no answer")
        marks = sum(message.text.count(IMAGE_TAG) for message in messages)
        if marks != len(self.media):
            raise ValueError(f"it has {marks} {IMAGE_TAG} marks and {len(self.media)} images or videos")
        if any(IMAGE_TAG in message.text for message in messages if message.speaker == "gpt"):
            raise ValueError(f"an answer contains {IMAGE_TAG}")
        return self

    @property
    def media(self) -> tuple[str, ...]:
        """Paths of the images or the video, in the order of the image tags."""
        return (self.video,) if self.video else self.image

    @property
    def modality(self) -> Modality:
        """What the conversation is about."""
        if self.video:
            return "video"
        return ("text", "image")[len(self.image)] if len(self.image) < 2 else "images"

    @property
    def words(self) -> int:
        """Number of words of all messages; it serves as a length without a tokenizer."""
        return sum(len(message.text.split()) for message in self.conversations)


class MixtureFile(BaseModel):
    """One file of a mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    json_path: Path
    sampling_strategy: str = Field(
        "all",
        pattern=r"^(all|(first|end|random):\d{1,12}%?)$",
        description="all; or first, end or random with a number or a percentage, such as random:25%",
    )


class _Mixture(BaseModel):
    datasets: list[MixtureFile] = Field(min_length=1)


def read_instructions(path: Path, seed: int = 0) -> list[Instruction]:
    """Read all conversations of a file or a mixture, in order.

    Args:
        path: A JSON list, JSON lines, or a YAML mixture.
        seed: Decides which entries a ``random`` strategy takes.

    Raises:
        InputError: A file cannot be read or has no conversation, or a conversation is not usable; the message names
            the first one.
    """
    instructions = []
    for _, entry in read_entries(path, seed):
        if isinstance(entry, InputError):
            raise entry
        instructions.append(entry)
    if not instructions:
        raise InputError(f"{path} has no conversation.")
    return instructions


def read_entries(path: Path, seed: int = 0) -> Iterator[tuple[str, Instruction | InputError]]:
    """Read the entries of a file or a mixture one by one, wrong ones included.

    Args:
        path: A JSON list, JSON lines, or a YAML mixture.
        seed: Decides which entries a ``random`` strategy takes.

    Yields:
        The entry's place ("Conversation 2 of cases.json"), and the conversation or the error that it has.

    Raises:
        InputError: A file as a whole cannot be read.
    """
    for part in mixture_files(path):
        file = part.json_path
        for item in _sample(list(json_entries(file)), part.sampling_strategy, seed):
            place = f"Conversation {item.number} of {file.name}"
            if item.problem:
                yield place, InputError(item.problem)
                continue
            try:
                yield place, Instruction.model_validate(item.value)
            except ValidationError as error:
                yield place, InputError(f"{place} is not usable: {_reason(error)}.")


def mixture_files(path: Path) -> list[MixtureFile]:
    """Return the files of a mixture; relative paths begin at the mixture's folder. Another file stands for itself.

    Raises:
        InputError: The mixture cannot be read, or an entry of it is wrong.
    """
    if path.suffix.lower() not in (".yaml", ".yml"):
        return [MixtureFile(json_path=path)]
    try:
        mixture = _Mixture.model_validate(parse_yaml(path.read_bytes(), str(path)))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValidationError as error:
        raise InputError(f"The mixture {path} is not usable: {_reason(error)}.") from error
    return [f.model_copy(update={"json_path": path.parent / f.json_path}) for f in mixture.datasets]


def _sample(items: Sequence[JsonEntry], strategy: str, seed: int) -> Sequence[JsonEntry]:
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
    return [items[index] for index in sorted(chosen)]


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
