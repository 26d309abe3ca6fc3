"""Conversations and what they show, as batches of tensors; a video or an image is decoded when its batch is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from videopath.core.choices import OnUnreadable, TrainingTemplate
from videopath.core.errors import InputError
from videopath.media.clip import open_clip
from videopath.media.image.files import read_picture
from videopath.media.sampling import SlowVideoError
from videopath.model.architecture import preprocess
from videopath.model.architecture.config import LlavaConfig
from videopath.training.data.instructions import Instruction
from videopath.training.data.supervision import IGNORED, supervise

_SEVERAL = "pad"  # how each of several images is made square, whatever the checkpoint's own rule is


@dataclass(frozen=True)
class Shown:
    """One visual of a conversation."""

    pixels: Tensor
    """float32 [N, 3, S, S]: a clip's frames, or an image's tiles."""
    image_size: tuple[int, int] | None
    """(width, height) of an image in pixels; none for a clip."""


@dataclass(frozen=True)
class Ready:
    """A conversation, decoded and tokenised."""

    ids: list[int]
    labels: list[int]
    shown: list[Shown]


class Conversations(Dataset["Ready | str"]):
    """The conversations of a file or mixture, each read when it is asked for.

    ``media``: the folder that their paths are relative to. ``frames``: of a video at most, about one a second (the
    original's training rule), evenly spread where the video is longer than that or slower than a frame in two seconds. A
    file that cannot be read raises ``InputError``, or with ``on_unreadable="skip"`` gives the sentence
    that says why: the run counts it.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        media: Path,
        config: LlavaConfig,
        tokenizer: Any,
        frames: int,
        on_unreadable: OnUnreadable = "stop",
        template: TrainingTemplate = "qwen_1_5",
    ) -> None:
        self.instructions = instructions
        self._media, self._config, self._tokenizer = media, config, tokenizer
        self._frames, self._on_unreadable, self._template = frames, on_unreadable, template

    def __len__(self) -> int:
        return len(self.instructions)

    def __getitem__(self, index: int) -> Ready | str:
        instruction = self.instructions[index]
        try:
            shown = self._shown(instruction)
        except InputError as error:
            if self._on_unreadable == "stop":
                raise InputError(
                    f"Conversation {instruction.id or index + 1} shows what cannot be read. {error}"
                ) from error
            return f"Conversation {instruction.id or index + 1}: {error}"
        supervised = supervise(instruction, self._tokenizer, self._template)
        return Ready(supervised.ids, supervised.labels, shown)

    def _shown(self, instruction: Instruction) -> list[Shown]:
        paths = [self._media / name for name in instruction.media]
        if instruction.modality == "video":
            frames = training_frames(paths[0], self._frames)
            return [Shown(preprocess.to_pixels(frames, self._config.image_size), None)]
        aspect = _SEVERAL if instruction.modality == "images" else self._config.aspect
        return [self._image(path, aspect) for path in paths]

    def _image(self, path: Path, aspect: str) -> Shown:
        picture = read_picture(path)
        tiles = preprocess.image_tiles(picture, self._config.image_size, aspect, self._config.pinpoints)
        return Shown(preprocess.normalise(tiles), (picture.shape[1], picture.shape[0]))


def training_frames(path: Path, most: int) -> np.ndarray:
    """Frames ``uint8 [T, H, W, 3]`` of a video by the original's training rule: one a second, at most ``most``.

    Of a video slower than a frame in two seconds, where the original took another sample without a word, ``most`` are
    taken evenly.
    """
    try:
        return open_clip(path, most, sampling="fps").frames
    except SlowVideoError:
        return open_clip(path, most).frames


def collate(examples: Sequence[Ready | str]) -> dict[str, Any]:
    """A batch, padded on the right: what :meth:`Pupil.forward` takes. What could not be read is left out and told.

    The first label of a row is never predicted, so it does not count.
    """
    ready = [example for example in examples if isinstance(example, Ready)]
    longest = max((len(example.ids) for example in ready), default=1)

    def padded(rows: list[list[int]], value: int) -> Tensor:
        filled = [row + [value] * (longest - len(row)) for row in rows]
        return torch.tensor(filled, dtype=torch.long).reshape(len(rows), longest)

    shown = [visual for example in ready for visual in example.shown]
    return {
        "input_ids": padded([example.ids for example in ready], 0),
        "labels": padded([[IGNORED, *example.labels[1:]] for example in ready], IGNORED),
        "lengths": [len(example.ids) for example in ready],
        "pixels": torch.cat([visual.pixels for visual in shown]) if shown else None,
        "visuals": [(len(visual.pixels), visual.image_size) for visual in shown],
        "skipped": [example for example in examples if isinstance(example, str)],
    }
