"""What a knowledge base needs of an encoder: one protocol for texts, one for frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

Progress = Callable[[int, int], None]
"""Called with (items done, items in total)."""


class NamedEncoder(Protocol):
    """The part that all encoders share; the manifest holds it as an ``EncoderMark``."""

    @property
    def name(self) -> str:
        """The name by which the encoder is loaded again."""

    @property
    def sha256(self) -> str:
        """The hash of the weights. Vectors of two encoders can be compared only if their hashes are equal."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""


class TextEncoder(NamedEncoder, Protocol):
    """An encoder of texts; :class:`videopath.knowledge.Embedder` is the usual one."""

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Return one vector of length 1 for each text, in their order: float32 [len(texts), dimension]."""


class FrameEncoder(NamedEncoder, Protocol):
    """An encoder of frames: pictures that are alike get vectors that are near each other.

    An encoder may also have ``side``, the side in pixels of the square that it reads (224 if it has none), and
    ``members``, the marks of the encoders that it joins.
    """

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension]."""
