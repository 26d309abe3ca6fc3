"""A preview shows what a case would see, without any model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videopath.agent.cases.preview import THUMBNAIL_SIDE, preview
from videopath.core.errors import InputError
from videopath.media.synthetic import render_case
from videopath.model import open_clip


def test_a_preview_is_what_a_case_would_see(small_case: Path) -> None:
    seen = preview(small_case, frames=5, start=1.0, end=4.0)
    clip = open_clip(small_case, 5, 1.0, 4.0)
    assert seen.facts.indices == clip.indices.tolist()
    assert seen.facts.seconds == pytest.approx(clip.seconds.tolist())
    assert seen.facts.sha256 == clip.sha256
    assert seen.quality.is_histology
    assert seen.burned_in.writings == []
    assert seen.burned_in.sentence
    assert np.array_equal(seen.thumbnails, clip.frames), "small frames are not enlarged"


def test_thumbnails_are_small_and_keep_their_shape(tmp_path: Path) -> None:
    video = render_case(tmp_path / "wide.mp4", seconds=1, size=(960, 480))
    seen = preview(video)
    assert seen.thumbnails.shape == (8, THUMBNAIL_SIDE // 2, THUMBNAIL_SIDE, 3)
    assert seen.thumbnails.dtype == np.uint8


def test_what_is_no_histology_is_shown_with_the_reason(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((64, 64, 3), 255, np.uint8)).save(tmp_path / "blank.png")
    seen = preview(tmp_path / "blank.png")
    assert seen.quality.verdict == "refused"
    assert len(seen.thumbnails) == 1
    with pytest.raises(InputError, match="no file"):
        preview(tmp_path / "absent.mp4")


def test_no_model_is_loaded_for_it(small_case: Path) -> None:
    program = (
        "import sys; from videopath.agent.cases.preview import preview; preview(sys.argv[1]); "
        "sys.exit(' '.join({'torch', 'transformers', 'langgraph'} & set(sys.modules)) or 0)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(small_case)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
