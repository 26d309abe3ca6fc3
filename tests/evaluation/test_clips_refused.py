"""Clips that the quality gate rejects count as not answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from videopath.agent import DiagnosticAgent
from videopath.evaluation.tiles.clips import evaluate, summarise
from videopath.media.synthetic import render_slide
from videopath.training.data.corpus import Sample


def test_a_rejected_clip_is_not_answered(small_checkpoint: Path, tmp_path: Path) -> None:
    Image.fromarray(render_slide("colon adenocarcinoma", 3, 320, 320)).save(tmp_path / "slide.png")
    bars = np.kron(np.arange(256).reshape(16, 16) % 2, np.ones((16, 16))).astype(np.uint8) * 255
    Image.fromarray(np.stack([bars] * 3, -1)).save(tmp_path / "board.png")
    samples = [
        Sample(tmp_path / name, "colon_n", "colon", "benign colon tissue", name, "test")
        for name in ("slide.png", "board.png")
    ]
    with DiagnosticAgent.load(model=str(small_checkpoint), home=tmp_path / "home") as agent:
        seen, rejected = evaluate(agent, samples, tmp_path / "clips")
    assert (seen.refused, rejected.refused) == (False, True)
    assert rejected.abstained
    assert rejected.final == ""
    summary = summarise([seen, rejected])
    assert summary.refused == 1
    assert summary.coverage.value <= 0.5
    assert summary.groups == {"colon_n": 2}
