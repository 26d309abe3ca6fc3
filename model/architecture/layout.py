"""How projected visual features become the decoder's visual tokens: pooling, newlines, tiles, unpadding.

The arithmetic is that of LLaVA-NeXT's ``prepare_inputs_labels_for_multimodal`` (Liu et al. 2024; Zhang et al. 2024
for videos). Everything here is differentiable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch.nn import functional

from videopath.core.choices import NEWLINE_POSITIONS
from videopath.core.errors import ModelError

PoolMode = Literal["bilinear", "average", "max"]
POOL_MODES: tuple[str, ...] = get_args(PoolMode)

_STRIDE = 2  # the original ignores mm_spatial_pool_stride
_DOWNSCALE_FROM = 1.1


def pool(features: torch.Tensor, mode: str) -> torch.Tensor:
    """Halve the grid of each frame: ``[T, g*g, h]`` to ``[T, p*p, h]``.

    p = ceil(g/2) for bilinear, floor(g/2) for average and max.
    """
    maps = _as_maps(features)
    halve: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "bilinear": lambda x: functional.interpolate(
            x, size=[math.ceil(n / _STRIDE) for n in x.shape[2:]], mode="bilinear"
        ),
        "average": lambda x: functional.avg_pool2d(x, _STRIDE),
        "max": lambda x: functional.max_pool2d(x, _STRIDE),
    }
    if mode not in halve:
        raise ModelError(
            f"The checkpoint's mm_spatial_pool_mode is {mode!r}; known are {', '.join(POOL_MODES)}."
        )
    return halve[mode](maps).flatten(2).transpose(1, 2)


def video_tokens(pooled: torch.Tensor, newline: torch.Tensor, position: str, merge_type: str) -> torch.Tensor:
    """Pooled frames ``[T, p*p, h]`` to one sequence ``[N, h]``, in time order, rows from top to bottom.

    ``grid``: the newline vector ``[h]`` after every row of every frame; ``frame``: after every frame; ``one_token``:
    once at the end (only where the merge type unpads); ``no_token``: never. ``flat`` merging has no newlines.
    """
    frames, tokens, hidden = pooled.shape
    if not merge_type.startswith("spatial") or position == "no_token":
        return pooled.flatten(0, 1)
    if position == "grid":
        side = math.isqrt(tokens)
        rows = pooled.reshape(frames * side, side, hidden)
        return _newline_after_each(rows, newline).flatten(0, 1)
    if position == "frame":
        return _newline_after_each(pooled, newline).flatten(0, 1)
    if position == "one_token":
        flat = pooled.flatten(0, 1)
        return torch.cat([flat, newline[None].to(flat)]) if "unpad" in merge_type else flat
    raise ModelError(
        f"The checkpoint's mm_newline_position is {position!r}; known are {', '.join(NEWLINE_POSITIONS)}."
    )


def image_tokens(
    features: torch.Tensor,
    newline: torch.Tensor,
    *,
    tiles: tuple[int, int],
    image_size: tuple[int, int],
    merge_type: str,
    aspect: str,
) -> torch.Tensor:
    """Features of an image's tiles ``[1 + tw*th, g*g, h]`` (or ``[1, g*g, h]``) to one sequence ``[N, h]``.

    The whole image first, then the mosaic of ``tiles`` = (tw, th), unpadded to the aspect of ``image_size`` (width,
    height) with a newline after each row. Images are not pooled.
    """
    if not merge_type.startswith("spatial"):
        return features.flatten(0, 1)
    if len(features) == 1:
        whole = features[0]
        return torch.cat([whole, newline[None].to(whole)]) if "unpad" in merge_type else whole
    mosaic = _mosaic(features[1:], tiles)
    if "maxpool2x2" in merge_type:
        rest = functional.max_pool2d(mosaic, 2).flatten(1).T
    elif "unpad" in merge_type:
        shown = _downscaled(unpadded(mosaic, image_size), aspect, math.isqrt(features.shape[1]))
        rest = _newline_after_each(shown.permute(1, 2, 0), newline).flatten(0, 1)
    else:
        rest = _tiles_by_rows(features[1:], tiles)
    return rest if "nobase" in merge_type else torch.cat([features[0], rest])


def unpadded(mosaic: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
    """Cut the black border off a mosaic ``[h, rows, columns]``, in whole feature rows or columns."""
    width, height = image_size
    rows, columns = mosaic.shape[1:]
    if width / height > columns / rows:
        border = (rows - int(height * (columns / width))) // 2
        return mosaic[:, border : rows - border, :]
    border = (columns - int(width * (rows / height))) // 2
    return mosaic[:, :, border : columns - border]


def _downscaled(mosaic: torch.Tensor, aspect: str, unit: int) -> torch.Tensor:
    """``anyres_max_N`` holds a mosaic to about N tiles' worth of features; plain ``anyres`` does not."""
    limit = re.match(r"anyres_max_(\d+)", aspect)
    if not limit:
        return mosaic
    rows, columns = mosaic.shape[1:]
    times = math.sqrt(rows * columns / (int(limit.group(1)) * unit**2))
    if times <= _DOWNSCALE_FROM:
        return mosaic
    return functional.interpolate(mosaic[None], [int(rows // times), int(columns // times)], mode="bilinear")[
        0
    ]


def _as_maps(features: torch.Tensor) -> torch.Tensor:
    """``[T, g*g, h]`` to ``[T, h, g, g]``."""
    side = math.isqrt(features.shape[1])
    return features.transpose(1, 2).unflatten(2, (side, side)).contiguous()


def _mosaic(tiles_features: torch.Tensor, tiles: tuple[int, int]) -> torch.Tensor:
    """``[tw*th, g*g, h]`` to ``[h, th*g, tw*g]``."""
    side = math.isqrt(tiles_features.shape[1])
    grid = tiles_features.reshape(tiles[1], tiles[0], side, side, -1)
    return grid.permute(4, 0, 2, 1, 3).flatten(1, 2).flatten(2, 3)


def _tiles_by_rows(tiles_features: torch.Tensor, tiles: tuple[int, int]) -> torch.Tensor:
    side = math.isqrt(tiles_features.shape[1])
    grid = tiles_features.reshape(tiles[1], tiles[0], side, side, -1)
    return grid.permute(0, 2, 1, 3, 4).flatten(0, 3)


def _newline_after_each(rows: torch.Tensor, newline: torch.Tensor) -> torch.Tensor:
    """``[R, n, h]`` to ``[R, n + 1, h]``."""
    return torch.cat([rows, newline.to(rows).expand(len(rows), 1, -1)], dim=1)
