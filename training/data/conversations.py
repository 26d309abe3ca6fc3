"""Conversations and their pictures as batches of tensors. An image or a video is decoded when its batch is made."""

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

_ASPECT_OF_SEVERAL = "pad"  # each of several images is padded to a square, whatever rule the checkpoint has


@dataclass(frozen=True)
class VisualInput:
    """One visual of a conversation."""

    pixels: Tensor
    """float32 [N, 3, S, S]: a clip's frames, or an image's tiles."""
    image_size: tuple[int, int] | None
    """(width, height) of an image in pixels; None for a clip."""


@dataclass(frozen=True)
class TokenisedConversation:
    """A conversation, decoded and tokenised."""

    ids: list[int]
    labels: list[int]
    visuals: list[VisualInput]


class ConversationDataset(Dataset["TokenisedConversation | str"]):
    """Conversations, each decoded and tokenised on access.

    An item is a :class:`TokenisedConversation`. With ``on_unreadable="skip"``, an item whose images or video cannot be
    read is a sentence that says why.
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
        """Set up the data set; nothing is decoded yet.

        Args:
            instructions: The conversations.
            media: The folder that their paths are relative to.
            config: How the network takes images and videos.
            tokenizer: The network's tokenizer.
            frames: Most frames of a video; see :func:`training_frames`.
            on_unreadable: Whether a file that cannot be read raises ``InputError`` or is skipped.
            template: The chat template.
        """
        self.instructions = instructions
        self._media, self._config, self._tokenizer = media, config, tokenizer
        self._frames, self._on_unreadable, self._template = frames, on_unreadable, template

    def __len__(self) -> int:
        return len(self.instructions)

    def __getitem__(self, index: int) -> TokenisedConversation | str:
        instruction = self.instructions[index]
        try:
            visuals = self._visuals(instruction)
        except InputError as error:
            if self._on_unreadable == "stop":
                raise InputError(
                    f"Conversation {instruction.id or index + 1} names a file that cannot be read. {error}"
                ) from error
            return f"Conversation {instruction.id or index + 1}: {error}"
        supervised = supervise(instruction, self._tokenizer, self._template)
        return TokenisedConversation(supervised.ids, supervised.labels, visuals)

    def _visuals(self, instruction: Instruction) -> list[VisualInput]:
        paths = [self._media / name for name in instruction.media]
        if instruction.modality == "video":
            frames = training_frames(paths[0], self._frames)
            return [VisualInput(preprocess.to_pixels(frames, self._config.image_size), None)]
        aspect = _ASPECT_OF_SEVERAL if instruction.modality == "images" else self._config.aspect
        return [self._image(path, aspect) for path in paths]

    def _image(self, path: Path, aspect: str) -> VisualInput:
        picture = read_picture(path)
        tiles = preprocess.image_tiles(picture, self._config.image_size, aspect, self._config.pinpoints)
        return VisualInput(preprocess.normalise(tiles), (picture.shape[1], picture.shape[0]))


def training_frames(path: Path, limit: int) -> np.ndarray:
    """Return the frames of a video by the original's training rule: one a second, evenly spread in longer videos.

    A video with less than a frame in two seconds gives ``limit`` frames, evenly spread. The original takes another
    conversation instead, without notice.

    Args:
        path: The video.
        limit: Most frames.

    Returns:
        uint8 [T, H, W, 3].

    Raises:
        InputError: The video cannot be read.
    """
    try:
        return open_clip(path, limit, sampling="fps").frames
    except SlowVideoError:
        return open_clip(path, limit).frames


def collate(examples: Sequence[TokenisedConversation | str]) -> dict[str, Any]:
    """Return a batch for :meth:`ConversationLossModel.forward`, padded on the right.

    Conversations that could not be read are left out; ``skipped`` has their sentences. The first label of a row is
    ignored, because no token predicts it.
    """
    conversations = [example for example in examples if isinstance(example, TokenisedConversation)]
    longest = max((len(example.ids) for example in conversations), default=1)

    def padded(rows: list[list[int]], value: int) -> Tensor:
        filled = [row + [value] * (longest - len(row)) for row in rows]
        return torch.tensor(filled, dtype=torch.long).reshape(len(rows), longest)

    visuals = [visual for conversation in conversations for visual in conversation.visuals]
    return {
        "input_ids": padded([example.ids for example in conversations], 0),
        "labels": padded([[IGNORED, *example.labels[1:]] for example in conversations], IGNORED),
        "lengths": [len(example.ids) for example in conversations],
        "pixels": torch.cat([visual.pixels for visual in visuals]) if visuals else None,
        "visuals": [(len(visual.pixels), visual.image_size) for visual in visuals],
        "skipped": [example for example in examples if isinstance(example, str)],
    }
