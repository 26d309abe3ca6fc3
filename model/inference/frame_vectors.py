"""One vector for each frame, from the vision tower; pictures are compared by these vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from videopath.model.architecture.network import Network
    from videopath.model.inference.engine import EncodesFrames, EngineInfo

_FRAMES_AT_ONCE = 8


def frame_vectors(depths: Sequence[Tensor]) -> Tensor:
    """Turn a tower's features into one vector for each frame.

    Features of the last layer are what the model learned to tell apart. Those of earlier layers also hold what other
    tissue is told apart by, so cases of another laboratory find more like themselves.

    Args:
        depths: Features ``[T, grid², hidden]`` at several depths. SigLIP's own pooling head is not part of the
            LLaVA-OneVision checkpoints, so they are averaged over the patches.

    Returns:
        float32 ``[T, depths · hidden]``, each row of length 1; each depth has the same weight.
    """
    normalise = torch.nn.functional.normalize
    means = [normalise(features.float().mean(dim=1), dim=-1) for features in depths]
    return normalise(torch.cat(means, dim=-1), dim=-1)


def encode_frames(network: Network, frames: np.ndarray) -> np.ndarray:
    """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension], each of length 1.

    Frames are squashed to the tower's square, like those of a video.
    """
    with torch.inference_mode():
        groups = [
            frame_vectors(
                network.encode_at_depths(network.prepare(frames[start : start + _FRAMES_AT_ONCE], "video"))
            )
            for start in range(0, len(frames), _FRAMES_AT_ONCE)
        ]
        return torch.cat(groups).cpu().numpy()


def tower_sha256(info: EngineInfo) -> str:
    """Return the mark of an engine's tower. Vectors can be compared only if their marks are equal."""
    return hashlib.sha256(f"tower at three depths {info.weights_sha256}".encode()).hexdigest()


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
