"""A cache for one pass with several rows that continue one prefilled prompt.

The rows read the prompt's keys and values, which exist once, and what they add is not kept. Only the layer that computes
holds a copy of the prompt for each row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from videopath.model.inference.prefix_cache import PrefixCache


class _ForkedLayer(DynamicLayer):
    """Keys and values of a prompt, ``[1, heads, length, head size]`` each."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the prompt's states with the new ones behind them, for each row of the new ones."""
        rows = len(key_states)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )


def forked(cache: PrefixCache) -> Cache:
    """Return a cache from which any number of rows continue; ``cache`` is not changed."""
    return Cache(layers=[_ForkedLayer(layer.keys, layer.values) for layer in cache.layers])
