"""The tower as an encoder: what it is known by, and that fewer frames at a time give the same."""

from __future__ import annotations

import numpy as np
import pytest

from videopath.model import load_engine
from videopath.model.inference.frame_vectors import TowerEncoder, encode_frames, tower_sha256


def test_frames_are_encoded_one_by_one_as_together() -> None:
    engine = load_engine("nano")
    frames = np.random.default_rng(0).integers(0, 256, (11, 60, 80, 3), dtype=np.uint8)
    together = encode_frames(engine.network, frames)
    assert together.shape == (11, 3 * 192)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([encode_frames(engine.network, frame[None]) for frame in frames])
    assert together == pytest.approx(alone, abs=1e-5)
    encoder = TowerEncoder(engine)
    assert (encoder.name, encoder.dimension) == ("tower:nano", 3 * 192)
    assert encoder.sha256 == tower_sha256(engine.info) != engine.info.weights_sha256
    assert np.array_equal(encoder.encode(frames), together)
