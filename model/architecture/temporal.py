"""Attention over time between the frames of a clip, before the decoder sees them; an option, off by default.

One description of VideoPath-LLaVA's method mentions temporal attention, its published code has none. The block is ours: each
place of the pooled grid looks at the same place in the other frames (as the temporal half of divided space-time attention,
Bertasius et al., ICML 2021), and adds what it finds. Its last layer begins at zero, so that a checkpoint that gets the
block answers exactly as before until it has learned.
"""

from __future__ import annotations

import math

import torch
from torch import nn

_SLOWEST = 1000.0  # frames: the longest period of the encoding of time


class TemporalAttention(nn.Module):
    """Multi-head attention over the frames, with a residual; ``heads`` divides ``hidden``."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.attention = nn.MultiheadAttention(hidden, heads, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)
        nn.init.zeros_(self.attention.out_proj.bias)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Pooled frames ``[T, P, hidden]`` in the order of time to the same, each knowing of the others."""
        seen = self.norm(pooled) + _times(pooled)[:, None]
        by_place = seen.transpose(0, 1)  # [P, T, hidden]
        found, _ = self.attention(by_place, by_place, by_place, need_weights=False)
        return pooled + found.transpose(0, 1)


def _times(pooled: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of each frame's number, ``[T, hidden]`` (Vaswani et al., NeurIPS 2017)."""
    frames, _, hidden = pooled.shape
    half = (hidden + 1) // 2
    rates = torch.exp(torch.arange(half, device=pooled.device) * (-math.log(_SLOWEST) / half))
    angles = torch.arange(frames, device=pooled.device)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :hidden].to(pooled.dtype)
