"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5: pictures of any size, and positions in time, height and width (M-RoPE).

A picture takes as many positions as its longer side has cells, although it has more tokens. The text after it goes on from
there, so its positions are not its places in the sequence. The model keeps this shift from its last prompt; sessions that
take turns would mix it up, so it is computed for each clip.

Most layers of Qwen3.5 have a state instead of keys and values, so its cache is copied for each answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from videopath.model.families.family import Family, Positions

_CELLS = 768
"""Cells of a frame at most: the limit for frames of a video in Qwen's own code."""


def multimodal_positions(model: Any, ids: Tensor, inputs: Mapping[str, Tensor]) -> Positions:
    """Return positions ``[3, 1, L]`` by the model's own rule."""
    grids = {name: inputs[name] for name in ("image_grid_thw", "mm_token_type_ids") if name in inputs}
    positions, shift = model.model.get_rope_index(ids, **grids)
    return Positions(positions, int(shift))


def frame_size(image_processor: Any) -> dict[str, Any]:
    """Return the limits of a frame's pixels, within those of the checkpoint."""
    cell = image_processor.patch_size * image_processor.merge_size
    most = min(image_processor.size["longest_edge"], _CELLS * cell**2)
    return {"size": {"shortest_edge": min(image_processor.size["shortest_edge"], most), "longest_edge": most}}


QWEN_VL = Family(
    "Qwen2-VL, Qwen2.5-VL, Qwen3-VL, Qwen3.5",
    ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"),
    frame_options=frame_size,
    positioning=multimodal_positions,
)
