"""Temporal attention between the frames of a clip, before the decoder. It is optional and off by default.

A description of VideoPath-LLaVA's method mentions temporal attention, but its published code has none. This block is our
own: each position of the pooled grid attends to the same position in the other frames (the temporal half of divided
space-time attention, Bertasius et al., ICML 2021) and adds the result. Its last layer starts at zero, so a checkpoint with
a new block answers exactly as before until the block is trained.
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
        """Let each frame attend to the others: pooled frames ``[T, P, hidden]`` in the order of time, same shape out."""
        timed = self.norm(pooled) + _times(pooled)[:, None]
        by_position = timed.transpose(0, 1)  # [P, T, hidden]
        attended, _ = self.attention(by_position, by_position, by_position, need_weights=False)
        return pooled + attended.transpose(0, 1)


def _times(pooled: torch.Tensor) -> torch.Tensor:
    """Return sines and cosines of each frame's number, ``[T, hidden]`` (Vaswani et al., NeurIPS 2017)."""
    frames, _, hidden = pooled.shape
    half = (hidden + 1) // 2
    rates = torch.exp(torch.arange(half, device=pooled.device) * (-math.log(_SLOWEST) / half))
    angles = torch.arange(frames, device=pooled.device)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :hidden].to(pooled.dtype)
