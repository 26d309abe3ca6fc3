"""A key/value cache that many answers share: the prefix is written once, each answer overwrites the one before.

The dynamic cache of `transformers` concatenates, so each new token copies everything before it (6,720 video tokens of a
7B model are 385 MB), and a shared prefix would be copied for each answer. Here keys and values are in a buffer with spare
room at its end: appending writes in place, and :meth:`PrefixCache.rewind` only shortens the visible part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicLayer

_ROOM = 512


class _RoomyLayer(DynamicLayer):
    """Keys and values of a layer, ``[batch, heads, length, head size]`` each, as views of larger buffers."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append the new states and return all states, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = (_roomier(key_states[..., :0, :], 0), _roomier(value_states[..., :0, :], 0))
            self._length = 0
        start, end = self._length, self._length + key_states.shape[-2]
        if end > self._buffers[0].shape[-2]:
            self._buffers = (
                _roomier(self._buffers[0][..., :start, :], end),
                _roomier(self._buffers[1][..., :start, :], end),
            )
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        return self._show(end)

    def rewind(self, length: int) -> None:
        """Keep only the first ``length`` positions; nothing is copied."""
        self._show(length)

    def _show(self, length: int) -> tuple[Tensor, Tensor]:
        keys, values = (buffer[..., :length, :] for buffer in self._buffers)
        self.keys, self.values, self._length = keys, values, length
        return keys, values


class PrefixCache(Cache):
    """A growing cache for full attention that can be rewound to any earlier length."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_RoomyLayer)

    def rewind(self, length: int) -> None:
        """Drop every position from ``length`` on; the next states are written there."""
        held = self.get_seq_length()
        if not 0 <= length <= held:
            raise ValueError(f"cannot rewind to {length} positions: the cache holds {held}")
        for layer in self.layers:
            if isinstance(layer, _RoomyLayer):
                layer.rewind(length)


def side_by_side(caches: Sequence[PrefixCache]) -> PrefixCache:
    """Return a cache with one row for each of ``caches``; shorter ones are padded on the left with zeros."""
    longest = max(cache.get_seq_length() for cache in caches)

    def rows(states: Sequence[Tensor]) -> Tensor:
        return torch.cat([functional.pad(one, (0, 0, longest - one.shape[-2], 0)) for one in states])

    merged = PrefixCache()
    for number, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        merged.update(
            rows([layer.keys for layer in layers]), rows([layer.values for layer in layers]), number
        )
    return merged


def _roomier(states: Tensor, length: int) -> Tensor:
    """Return a buffer for ``length`` positions and some more, with ``states`` at its start."""
    batch, heads, held, size = states.shape
    buffer = states.new_empty(batch, heads, length + _ROOM, size)
    buffer[..., :held, :] = states
    return buffer
