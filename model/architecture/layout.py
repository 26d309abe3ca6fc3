"""Layout of visual tokens: projected features are pooled, unpadded and joined with newlines and tiles.

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

    p is ceil(g/2) for "bilinear" and floor(g/2) for "average" and "max".

    Raises:
        ModelError: ``mode`` is unknown.
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
    """Join pooled frames ``[T, p*p, h]`` to one sequence ``[N, h]``, in the order of time, rows from top to bottom.

    Args:
        pooled: The frames.
        newline: The newline vector ``[h]``.
        position: Where the newline stands. "grid": after each row of each frame. "frame": after each frame.
            "one_token": once at the end, if the merge type unpads. "no_token": nowhere.
        merge_type: The original's ``mm_patch_merge_type``; "flat" has no newlines.

    Raises:
        ModelError: ``position`` is unknown.
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
    """Join the tiles of an image to one sequence ``[N, h]``; images are not pooled.

    The whole image comes first, then the mosaic of its tiles, unpadded, with a newline after each row.

    Args:
        features: The whole image and its tiles, ``[1 + tw*th, g*g, h]``; or the image alone, ``[1, g*g, h]``.
        newline: The newline vector ``[h]``.
        tiles: Number of tiles (tw, th).
        image_size: (width, height) of the image in pixels.
        merge_type: The original's ``mm_patch_merge_type``.
        aspect: The original's ``image_aspect_ratio``.
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
        visible = _downscaled(unpadded(mosaic, image_size), aspect, math.isqrt(features.shape[1]))
        rest = _newline_after_each(visible.permute(1, 2, 0), newline).flatten(0, 1)
    else:
        rest = _tiles_by_rows(features[1:], tiles)
    return rest if "nobase" in merge_type else torch.cat([features[0], rest])


def unpadded(mosaic: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
    """Remove the black border of a mosaic ``[h, rows, columns]``, in whole rows or columns of features."""
    width, height = image_size
    rows, columns = mosaic.shape[1:]
    if width / height > columns / rows:
        border = (rows - int(height * (columns / width))) // 2
        return mosaic[:, border : rows - border, :]
    border = (columns - int(width * (rows / height))) // 2
    return mosaic[:, :, border : columns - border]


def _downscaled(mosaic: torch.Tensor, aspect: str, unit: int) -> torch.Tensor:
    """Shrink a mosaic to the features of about N tiles if the aspect is ``anyres_max_N``."""
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
