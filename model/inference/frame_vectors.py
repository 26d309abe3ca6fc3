"""One vector for each frame, from the vision tower; pictures are compared by these vectors."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from videopath.model.architecture.network import Network
    from videopath.model.inference.engine import EncodesFrames, EngineInfo

_FRAMES_AT_ONCE = 8


def frame_vectors(features: Tensor) -> Tensor:
    """Average a tower's features ``[T, grid², hidden]`` over the patches: float32 ``[T, hidden]``, each of length 1.

    SigLIP's own pooling head is not part of the LLaVA-OneVision checkpoints.
    """
    return torch.nn.functional.normalize(features.float().mean(dim=1), dim=-1)


def encode_frames(network: Network, frames: np.ndarray) -> np.ndarray:
    """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, hidden], each of length 1.

    Frames are squashed to the tower's square, like those of a video.
    """
    with torch.inference_mode():
        groups = [
            frame_vectors(network.encode(network.prepare(frames[start : start + _FRAMES_AT_ONCE], "video")))
            for start in range(0, len(frames), _FRAMES_AT_ONCE)
        ]
        return torch.cat(groups).cpu().numpy()


def tower_sha256(info: EngineInfo) -> str:
    """Return the mark of an engine's tower. Vectors can be compared only if their marks are equal."""
    return hashlib.sha256(f"tower {info.weights_sha256}".encode()).hexdigest()


class TowerEncoder:
    """The vision tower of a loaded engine; a ``videopath.knowledge.index.encoders.FrameEncoder``."""

    def __init__(self, engine: EncodesFrames) -> None:
        self._engine = engine
        self.name = f"tower:{engine.info.source}"
        self.sha256 = tower_sha256(engine.info)
        self.dimension = engine.frame_dimension
        self.side = engine.frame_side
        """Side of the square that it reads, in pixels."""

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension], each of length 1."""
        return self._engine.encode_frames(frames)
