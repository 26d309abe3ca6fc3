"""One vector for the pictures of a clip: by one frame encoder, or by several together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from videopath.knowledge.storage.manifest import EncoderMark

if TYPE_CHECKING:
    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.knowledge.storage.manifest import FrameViews

_DEFAULT_SIDE = 224  # pixels, of an encoder that does not say what it reads
_LARGE = 1.5  # a frame this many times as large as what the encoder reads is shown in quadrants


class JoinedEncoder:
    """Several frame encoders used together. Their vectors are concatenated with equal weight."""

    def __init__(self, encoders: Sequence[FrameEncoder]) -> None:
        self.encoders = tuple(encoders)
        mark = EncoderMark.joined([EncoderMark.of(encoder) for encoder in encoders])
        self.name, self.sha256, self.dimension = mark.name, mark.sha256, mark.dimension
        self.members = mark.members

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector of length 1 for each frame, uint8 [T, H, W, 3]: float32 [T, dimension]."""
        return joined_vectors([encoder.encode(frames) for encoder in self.encoders])


def joined_vectors(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate the vectors of several encoders with equal weight.

    Args:
        vectors: For each encoder float32 [T, dimension].

    Returns:
        float32 [T, sum of the dimensions], each row of length 1.
    """
    from videopath.knowledge.index.embedder import unit_rows

    return np.concatenate([unit_rows(part) for part in vectors], axis=1) / np.float32(len(vectors) ** 0.5)


def picture_vector(encoder: FrameEncoder, frames: np.ndarray, views: FrameViews) -> np.ndarray:
    """Return one vector for a clip: the mean over its frames or their quadrants.

    Args:
        encoder: The frame encoder. Each member of a joined encoder is shown the frames in its own way.
        frames: uint8 [T, H, W, 3] RGB.
        views: "whole" shows the frames as they are. "parts" shows the quadrants of frames that are at least 1.5 times
            as large as what the encoder reads: quadrants show more of the cells.

    Returns:
        float32 [dimension] of length 1.
    """
    if isinstance(encoder, JoinedEncoder):
        parts = [picture_vector(member, frames, views)[None] for member in encoder.encoders]
        return joined_vectors(parts)[0]
    return clip_vector(encoder.encode(_viewed(frames, views, getattr(encoder, "side", _DEFAULT_SIDE))))


def clip_vector(frame_vectors: np.ndarray) -> np.ndarray:
    """Return the mean of the vectors of a clip's frames, float [T, dimension], as float32 [dimension] of length 1."""
    mean = np.asarray(frame_vectors, np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _viewed(frames: np.ndarray, views: FrameViews, side: int) -> np.ndarray:
    height, width = frames.shape[1:3]
    if views == "whole" or min(height, width) < _LARGE * side:
        return frames
    h, w = height // 2, width // 2
    return np.concatenate([frames[:, y : y + h, x : x + w] for y in (0, height - h) for x in (0, width - w)])
