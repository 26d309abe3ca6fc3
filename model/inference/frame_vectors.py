"""What the vision tower makes of frames as such: one vector for each, by which pictures are compared."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from videopath.model.architecture.network import Network
    from videopath.model.inference.engine import EngineInfo, LocalEngine

_FRAMES_AT_ONCE = 8


def frame_vectors(features: Tensor) -> Tensor:
    """A tower's features ``[T, grid², hidden]`` as one vector a frame: float32 ``[T, hidden]``, each of length 1.

    The mean over the patches; SigLIP's own pooling head is no part of the LLaVA-OneVision checkpoints.
    """
    return torch.nn.functional.normalize(features.float().mean(dim=1), dim=-1)


def encode_frames(network: Network, frames: np.ndarray) -> np.ndarray:
    """Frames uint8 [T, H, W, 3], each squashed as a video's is, to float32 [T, hidden] of length 1."""
    with torch.inference_mode():
        groups = [
            frame_vectors(network.encode(network.prepare(frames[start : start + _FRAMES_AT_ONCE], "video")))
            for start in range(0, len(frames), _FRAMES_AT_ONCE)
        ]
        return torch.cat(groups).cpu().numpy()


def tower_sha256(info: EngineInfo) -> str:
    """By which vectors of an engine's tower are known: they compare only where its weights are the same."""
    return hashlib.sha256(f"tower {info.weights_sha256}".encode()).hexdigest()


class TowerEncoder:
    """The vision tower of a loaded engine as a frame encoder."""

    def __init__(self, engine: LocalEngine) -> None:
        self._network = engine.network
        self.name = f"tower:{engine.info.source}"
        self.sha256 = tower_sha256(engine.info)
        self.dimension = int(engine.network.config.vision_config["hidden_size"])
        self.side = int(engine.network.config.image_size)
        """Pixels of the square that it reads."""

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Frames uint8 [T, H, W, 3] to float32 [T, dimension], each of length 1."""
        return encode_frames(self._network, frames)
