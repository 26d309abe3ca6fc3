"""A session with a model of another family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from videopath.core.errors import InputError
from videopath.media.clip import Clip
from videopath.model.families.network import FamilyNetwork
from videopath.model.families.prefix import FamilyPrefix, new_prefix
from videopath.model.families.prompting import FramePrompts
from videopath.model.inference.answering import PrefixSession, Speech

_ROOM = 1024  # tokens that are left for a question and its answer, or a quarter of a short context


class FamilySession(PrefixSession[FamilyPrefix]):
    """One clip before a model; :class:`videopath.model.inference.engine.Session` describes the methods.

    If the frames have more tokens than the model reads, fewer are used, and ``notes`` says so.
    """

    def __init__(
        self, network: FamilyNetwork, clip: Clip, on_frames: Callable[[int, int], None] | None = None
    ) -> None:
        super().__init__(clip, network.device)
        self._network = network
        self._on_frames = on_frames
        if network.cache_use == "none":
            self.notes.append(
                f"The cache of {network.family.name} models cannot be used again: each answer computes the whole prompt."
            )
        self._prefill()

    def prompt(self, question: str, answer_start: str = "") -> str:
        """Return the prompt of a question in words, with one placeholder for each frame."""
        return FramePrompts.of(self._network.processor, self.clip).text(question, answer_start)

    def frame_vectors(self) -> np.ndarray:
        """Return each frame as the decoder reads it: float32 [T, dimension], each row of length 1."""
        with self._turn():
            return encode_frames(self._network, self.clip.frames)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        alone = self._network.turn if self._network.cache_use == "none" else nullcontext()
        with alone, super()._turn():
            yield

    @property
    def _speech(self) -> Speech:
        return self._network.speech

    def _new_prefix(self) -> FamilyPrefix:
        prompts = self._fitting_prompts()
        if self._on_frames:
            self._on_frames(0, len(self.clip))
        prefix = new_prefix(self._network, prompts)
        if self._on_frames:
            self._on_frames(len(self.clip), len(self.clip))
        return prefix

    def _fitting_prompts(self) -> FramePrompts:
        """Prepare the pictures, of fewer frames if all of them do not fit into the context."""
        longest = self._network.max_length
        limit = longest - min(_ROOM, longest // 4)
        before = len(self.clip)
        prompts = FramePrompts.of(self._network.processor, self.clip)
        while prompts.beginning > limit:
            count = min(len(self.clip) - 1, len(self.clip) * limit // prompts.beginning)
            if count < 1:
                raise InputError(
                    f"One frame needs {prompts.beginning} tokens, but the model reads at most {longest} with the question."
                )
            self.clip = self.clip.take(np.linspace(0, len(self.clip) - 1, count).round().astype(int))
            prompts = FramePrompts.of(self._network.processor, self.clip)
        if len(self.clip) < before:
            self.notes.append(
                f"The model reads at most {longest} tokens: {len(self.clip)} of {before} frames are used."
            )
        return prompts


def encode_frames(network: FamilyNetwork, frames: np.ndarray) -> np.ndarray:
    """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension], each of length 1."""
    vectors = [
        network.picture_features(FramePrompts(network.processor, frames[place : place + 1], [""]))
        for place in range(len(frames))
    ]
    return torch.nn.functional.normalize(torch.stack(vectors), dim=-1).cpu().numpy()
