"""Prompts about a clip: each frame is a picture after its second in words, and the question comes last."""

from __future__ import annotations

from collections.abc import Sequence
from operator import contains
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from videopath.media.clip import Clip
from videopath.model.families.processing import PictureProcessor

_QUESTION = "What does the video show?"
_TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
"""Inputs with one number for each token; all others belong to the pictures."""


class FramePrompts:
    """The prompts about some frames. The pictures are prepared once.

    Args:
        processor: The model's processor.
        frames: uint8 [T, H, W, 3], RGB.
        labels: A text before each frame; empty texts for frames without.
        fine: Whether a frame may be read in tiles as well.

    Attributes:
        ids: Tokens of a prompt.
        beginning: How many of them, up to the last one of a picture; they are the same for every question.
        token_inputs: Further inputs of that prompt with one number for each token, ``[1, tokens]``.
        pictures: Inputs of the pictures.

    Raises:
        ModelError: The chat template cannot be used, or it leaves pictures out.
    """

    def __init__(
        self, processor: PictureProcessor, frames: np.ndarray, labels: Sequence[str], *, fine: bool = False
    ) -> None:
        self._processor = processor
        self._frames, self._labels, self._fine = frames, labels, fine
        self._in_text = False
        self._in_text = not self._keeps_order(self._render(_QUESTION))
        prompt = self._render(_QUESTION)
        inputs, self._replacements = self._encode(prompt)
        self.ids: list[int] = inputs["input_ids"][0].tolist()
        self._expands = processor.ids(prompt, self._replacements) == self.ids
        tokens = processor.picture_tokens
        self.beginning = max(
            (place + 1 for place, token in enumerate(self.ids) if token in tokens), default=0
        )
        self.token_inputs: dict[str, Tensor] = {
            name: inputs[name] for name in _TOKEN_INPUTS[2:] if name in inputs
        }
        self.pictures: dict[str, Any] = {
            name: value for name, value in inputs.items() if name not in _TOKEN_INPUTS
        }

    @classmethod
    def of(cls, processor: PictureProcessor, clip: Clip) -> FramePrompts:
        """Return the prompts about a clip: each frame of a video comes after its second, an image may be read in tiles."""
        if clip.kind == "image":
            return cls(processor, clip.frames, [""], fine=True)
        return cls(processor, clip.frames, [f"Frame at {second:.1f} s:" for second in clip.seconds])

    def __len__(self) -> int:
        return len(self._labels)

    def alone(self, place: int) -> FramePrompts:
        """Return the prompts about one frame."""
        one = slice(place, place + 1)
        return FramePrompts(self._processor, self._frames[one], self._labels[one], fine=self._fine)

    def text(self, question: str, answer_start: str = "") -> str:
        """Return a prompt in words, with one placeholder for each frame."""
        return self._render(question) + answer_start

    def tokens(self, question: str, answer_start: str = "") -> list[int]:
        """Return the tokens of a prompt.

        Raises:
            InputError: A text has half characters.
        """
        prompt = self.text(question, answer_start)
        if self._expands:
            return self._processor.ids(prompt, self._replacements)
        self._processor.continuation(prompt)  # refuses half characters
        return list(self._encode(prompt)[0]["input_ids"][0].tolist())

    def _encode(self, prompt: str) -> tuple[dict[str, Any], list[str]]:
        pictures = [Image.fromarray(frame) for frame in self._frames]
        return self._processor.encode(prompt, pictures, fine=self._fine)

    def _render(self, question: str) -> str:
        question = self._processor.without_marks(question)
        if self._in_text:
            lines = [f"{label} {self._processor.placeholder}".lstrip() for label in self._labels]
            return self._processor.render([{"type": "text", "text": "\n".join([*lines, question])}])
        content: list[dict[str, str]] = []
        for label in self._labels:
            content += [{"type": "text", "text": label}] if label else []
            content.append({"type": "image"})
        return self._processor.render([*content, {"type": "text", "text": question}])

    def _keeps_order(self, prompt: str) -> bool:
        """Return whether the template leaves each picture behind its label; some put all pictures first."""
        mark = self._processor.placeholder
        pieces, labels = prompt.split(mark) if mark else [prompt], self._labels
        return len(pieces) == len(labels) + 1 and all(map(contains, pieces, labels))
