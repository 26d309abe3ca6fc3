"""The engine of a model of another family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from videopath.media.clip import Clip
from videopath.model.families.network import FamilyNetwork
from videopath.model.families.session import FamilySession, encode_frames
from videopath.model.inference.engine import EngineInfo

_SIDE = 384  # pixels


class FamilyEngine:
    """A model of another family on this machine; an ``Engine`` that ``EncodesFrames``."""

    def __init__(self, network: FamilyNetwork, info: EngineInfo) -> None:
        self.network = network
        self._info = info

    @property
    def info(self) -> EngineInfo:
        """Name, weights, device and card."""
        return self._info

    @property
    def frame_dimension(self) -> int:
        """Length of a frame's vector."""
        return self.network.hidden_size

    @property
    def frame_side(self) -> int:
        """Side of a square that the tower reads well, in pixels; the processor fits frames of any size."""
        return _SIDE

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> FamilySession:
        """Prefill the clip once; every answer of the session continues from there."""
        return FamilySession(self.network, clip, on_frames)

    def encode_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension], each of length 1."""
        with torch.inference_mode():
            return encode_frames(self.network, frames)
