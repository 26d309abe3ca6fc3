"""Frames to pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import InputError, ModelError
from videopath.model.architecture.preprocess import (
    best_resolution,
    image_tiles,
    normalise,
    read_pinpoints,
    squash,
    to_pixels,
)

PINPOINTS = [(40, 80), (80, 40), (80, 80)]
sizes = st.tuples(st.integers(1, 200), st.integers(1, 200))


def test_the_original_formula_for_all_levels() -> None:
    levels = np.arange(256, dtype=np.uint8)
    expected = ((levels.astype(np.float64) * (1 / 255)).astype(np.float32) - np.float32(0.5)) / np.float32(
        0.5
    )
    assert normalise(levels).numpy().tobytes() == expected.tobytes()


@settings(max_examples=25, deadline=None)
@given(sizes, st.integers(1, 3))
def test_frames_are_squashed_one_by_one(size: tuple[int, int], count: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)
    pixels = to_pixels(frames, 40)
    assert pixels.shape == (count, 3, 40, 40)
    assert pixels.dtype == torch.float32
    assert -1 <= pixels.min() <= pixels.max() <= 1
    assert torch.equal(pixels[-1:], to_pixels(frames[-1:], 40))


def test_a_frame_of_the_right_size_is_copied() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    assert np.array_equal(squash(frames, 40), frames.transpose(0, 3, 1, 2))


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_anyres_tiles_fill_the_best_pinpoint(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 200, dtype=np.uint8)
    best = best_resolution(size, PINPOINTS)
    tiles = image_tiles(image, 40, "anyres", PINPOINTS)
    assert len(tiles) == 1 + best[0] // 40 * (best[1] // 40)
    assert (tiles[0] == 200).all()
    assert set(np.unique(tiles[1:])) <= {0, 200}


def test_ties_go_to_the_least_waste_and_then_to_the_first() -> None:
    assert best_resolution((20, 20), PINPOINTS) == (40, 80)
    assert best_resolution((20, 20), PINPOINTS[::-1]) == (80, 40)


def test_padding_is_grey_and_centred() -> None:
    image = np.zeros((20, 40, 3), dtype=np.uint8)
    (tile,) = image_tiles(image, 40, "pad")
    assert (tile[:, :9] == 127).all()
    assert (tile[:, 11:29] == 0).all()
    assert (tile[:, 31:] == 127).all()
    assert image_tiles(image, 40, "square").shape == (1, 3, 40, 40)


@pytest.mark.parametrize(
    "value",
    [[[40, 80], [80, 40]], [(40, 80), (80, 40)], "[[40, 80], [80, 40]]", "[(40, 80), (80, 40)]"],
)
def test_pinpoints_are_width_and_height_in_their_order(value: object) -> None:
    assert read_pinpoints(value, 40) == ((40, 80), (80, 40))


def test_a_range_of_pinpoints() -> None:
    assert read_pinpoints("(1x1),...,(2x3)", 10) == (
        (10, 10),
        (10, 20),
        (10, 30),
        (20, 10),
        (20, 20),
        (20, 30),
    )
    assert read_pinpoints(None, 10) == ()


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 0, 4, 3), (4, 4, 3), (1, 4, 4, 4)])
def test_wrong_frames_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="uint8"):
        to_pixels(np.zeros(shape, dtype=np.uint8), 40)
    with pytest.raises(InputError, match="float64"):
        to_pixels(np.zeros((1, 4, 4, 3)), 40)


def test_anyres_without_pinpoints_is_refused() -> None:
    with pytest.raises(ModelError, match="image_grid_pinpoints"):
        image_tiles(np.zeros((4, 4, 3), dtype=np.uint8), 40, "anyres")
