"""Frame numbers: exactly the tables of the original code, and properties for every length and count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.core.errors import InputError
from videopath.media.sampling import (
    MAX_CANDIDATES,
    candidate_indices,
    choose_keyframes,
    thumbnail,
    training_fps_indices,
    uniform_indices,
)


def test_the_original_s_tables(shared: Path) -> None:
    tables = json.loads((shared / "golden/tables/frame_indices.json").read_text())
    for case in tables["inference_linspace"]:
        assert uniform_indices(case["total"], case["k"]).tolist() == case["idx"], case
    for case in tables["training_process_video_with_decord"]:
        given_fps = {"frames_upbound": case["frames_upbound"], "force_sample": case["force_sample"]}
        if "error" in case:
            with pytest.raises(InputError, match=r"frames per second .*uniform"):
                training_fps_indices(case["total"], case["fps"], **given_fps)
        else:
            indices = training_fps_indices(case["total"], case["fps"], **given_fps)
            assert len(indices) == case["n"]
            assert indices.tolist()[: len(case["idx"])] == case["idx"], case


@given(st.integers(1, 10**7), st.integers(1, 200))
def test_uniform_spans_the_video_with_exactly_that_many_frames(total: int, count: int) -> None:
    indices = uniform_indices(total, count)
    assert len(indices) == count
    assert indices[0] == 0
    assert (np.diff(indices) >= 0).all()
    assert indices[-1] == (total - 1 if count > 1 else 0)


@given(st.integers(1, 10**5), st.floats(0.51, 240), st.integers(1, 64))
def test_training_rule_stays_within_the_video_and_its_bound(total: int, fps: float, bound: int) -> None:
    indices = training_fps_indices(total, fps, frames_upbound=bound)
    assert 1 <= len(indices) <= bound
    assert indices.min() >= 0
    assert indices.max() < total


def test_half_frames_round_to_even_as_in_python() -> None:
    assert training_fps_indices(10, 2.5).tolist() == [0, 2, 4, 6, 8]
    assert training_fps_indices(10, 3.5).tolist() == [0, 4, 8]
    with pytest.raises(InputError):
        training_fps_indices(10, 0.5)


@given(st.integers(1, 10**8), st.integers(1, 64))
def test_candidates_are_distinct_and_bounded(total: int, count: int) -> None:
    candidates = candidate_indices(total, count)
    assert len(np.unique(candidates)) == len(candidates) <= max(MAX_CANDIDATES, count)
    assert len(candidates) >= min(total, count)


def test_keyframes_differ_and_leave_out_blank_and_blurred_frames() -> None:
    rng = np.random.default_rng(0)
    colours = [(200, 120, 170), (120, 90, 170), (180, 150, 90)]
    sharp = [
        np.clip(np.array(c) + rng.normal(0, 40, (120, 160, 3)), 0, 255).astype(np.uint8) for c in colours
    ]
    blank = np.full((120, 160, 3), 250, np.uint8)
    shown = [blank, sharp[0], sharp[0], blank, sharp[1], sharp[2], sharp[2]]
    chosen = choose_keyframes([thumbnail(frame) for frame in shown], 5)
    assert len(chosen) == 3
    assert {tuple(shown[i][0, 0]) for i in chosen} == {tuple(frame[0, 0]) for frame in sharp}
    assert chosen == sorted(chosen)


@pytest.mark.parametrize(("total", "count"), [(0, 4), (4, 0)])
def test_nothing_to_choose_from_is_said(total: int, count: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        uniform_indices(total, count)
