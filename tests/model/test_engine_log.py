"""The log of an engine: on which device it was loaded, and what it did when memory ran out."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videopath.media.clip import open_clip
from videopath.media.synthetic import render_case
from videopath.model import load_engine
from videopath.model.architecture.network import Network
from videopath.model.inference.session import LocalSession


def test_a_loaded_engine_is_logged_with_its_device(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "videopath.model")
    load_engine("nano", device="cpu")
    (message,) = caplog.messages
    assert re.fullmatch(r"Engine VideoPath-nano loaded on cpu as float32 in \d+\.\d s \(.+\)\.", message)


def test_fewer_frames_after_out_of_memory_are_a_warning(
    make_network: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    encode = Network.encode_at_depths

    def limited(self: Network, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, pixels)

    monkeypatch.setattr(Network, "encode_at_depths", limited)
    clip = open_clip(render_case(tmp_path / "a.mp4", seconds=1.0, size=(64, 64)), frames=4)
    with LocalSession(make_network(), clip) as session:
        assert np.array_equal(session.clip.indices, clip.indices[::2])
    (record,) = [r for r in caplog.records if r.name.startswith("videopath.model")]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "Out of memory on cpu: trying again with 2 of 4 frames."
