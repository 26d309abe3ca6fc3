"""Properties of the visual token layouts, for any geometry."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import ModelError
from videopath.model.architecture.layout import image_tokens, pool, unpadded, video_tokens

quick = settings(max_examples=40, deadline=None)
frames_and_grid = st.tuples(st.integers(1, 5), st.integers(2, 9))
NEWLINE = torch.tensor([-1.0])


def _numbered(count: int, tokens: int) -> torch.Tensor:
    return torch.arange(count * tokens, dtype=torch.float32).reshape(count, tokens, 1)


@quick
@given(frames_and_grid, st.sampled_from(["bilinear", "average", "max"]))
def test_pooling_halves_each_side(shape: tuple[int, int], mode: str) -> None:
    frames, grid = shape
    side = -(-grid // 2) if mode == "bilinear" else grid // 2
    assert pool(torch.rand(frames, grid * grid, 3), mode).shape == (frames, side * side, 3)


@quick
@given(frames_and_grid)
def test_every_layout_keeps_all_tokens_in_order(shape: tuple[int, int]) -> None:
    frames, side = shape
    pooled = _numbered(frames, side * side)
    newlines = {"grid": frames * side, "frame": frames, "one_token": 1, "no_token": 0}
    for position, count in newlines.items():
        tokens = video_tokens(pooled, NEWLINE, position, "spatial_unpad").flatten()
        assert tokens[tokens >= 0].tolist() == list(range(frames * side * side))
        assert int((tokens < 0).sum()) == count
        if count:
            assert tokens[-1] < 0
    assert len(video_tokens(pooled, NEWLINE, "one_token", "spatial")) == frames * side * side
    assert len(video_tokens(pooled, NEWLINE, "grid", "flat")) == frames * side * side


def test_a_grid_newline_follows_every_row() -> None:
    tokens = video_tokens(_numbered(2, 4), NEWLINE, "grid", "spatial_unpad").flatten().tolist()
    assert tokens == [0, 1, -1, 2, 3, -1, 4, 5, -1, 6, 7, -1]


def test_the_mosaic_puts_tiles_beside_each_other() -> None:
    features = _numbered(3, 4)  # the whole image, then two tiles side by side
    rules = {"tiles": (2, 1), "image_size": (80, 40), "aspect": "anyres"}
    unpad = image_tokens(features, NEWLINE, merge_type="spatial_unpad", **rules)  # type: ignore[arg-type]
    assert unpad.flatten().tolist() == [0, 1, 2, 3, 4, 5, 8, 9, -1, 6, 7, 10, 11, -1]
    plain = image_tokens(features, NEWLINE, merge_type="spatial", **rules)  # type: ignore[arg-type]
    assert plain.flatten().tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11]
    nobase = image_tokens(features, NEWLINE, merge_type="spatial_unpad_nobase", **rules)  # type: ignore[arg-type]
    assert nobase.flatten().tolist() == [4, 5, 8, 9, -1, 6, 7, 10, 11, -1]
    flat = image_tokens(features, NEWLINE, merge_type="flat", **rules)  # type: ignore[arg-type]
    assert flat.flatten().tolist() == list(range(12))


@quick
@given(st.integers(1, 4000), st.integers(1, 4000))
def test_unpadding_cuts_one_direction_and_evenly(width: int, height: int) -> None:
    mosaic = torch.zeros(1, 54, 81)
    rows, columns = unpadded(mosaic, (width, height)).shape[1:]
    assert rows == 54 or columns == 81
    assert (54 - rows) % 2 == 0
    assert (81 - columns) % 2 == 0


def test_anyres_max_shrinks_a_large_mosaic_and_plain_anyres_does_not() -> None:
    features = torch.rand(1 + 16, 9, 2)
    rules = {"tiles": (4, 4), "image_size": (100, 100), "merge_type": "spatial_unpad"}
    plain = image_tokens(features, torch.zeros(2), aspect="anyres", **rules)  # type: ignore[arg-type]
    assert len(plain) == 9 + 12 * 13
    limited = image_tokens(features, torch.zeros(2), aspect="anyres_max_4", **rules)  # type: ignore[arg-type]
    assert len(limited) == 9 + 6 * 7
    roomy = image_tokens(features, torch.zeros(2), aspect="anyres_max_16", **rules)  # type: ignore[arg-type]
    assert torch.equal(roomy, plain)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pool(torch.zeros(1, 4, 1), "median"),
        lambda: video_tokens(torch.zeros(1, 4, 1), NEWLINE, "diagonal", "spatial_unpad"),
    ],
)
def test_unknown_rules_are_refused(call) -> None:  # noqa: ANN001
    with pytest.raises(ModelError, match="known are"):
        call()
