"""Packing: several continuations of one context, scored in one row of one forward pass.

A batch would repeat the context's keys and values for each continuation. In a packed row they exist once: the position
numbers place every continuation after the context, and a mask hides the continuations from each other (tree attention, as
in SpecInfer, Miao 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Packing:
    """Continuations, lists of at least one token, one after the other.

    The last token of a continuation is only predicted, not fed. Its first token is predicted at the context's last
    position.
    """

    def __init__(self, continuations: Sequence[Sequence[int]]) -> None:
        self.inputs: list[int] = []
        """The tokens to feed after the context."""
        self._owner: list[int] = []  # for each input: its continuation, from 1
        self._offset: list[int] = []  # for each input: its position in the continuation
        self._rows: list[
            int
        ] = []  # for each predicted token: the row of its logits; row 0 is the context's last
        self._targets: list[int] = []
        self._lengths = [len(tokens) for tokens in continuations]
        for number, tokens in enumerate(continuations, start=1):
            first_row = len(self.inputs) + 1
            fed = list(tokens[:-1])
            self.inputs += fed
            self._owner += [number] * len(fed)
            self._offset += range(len(fed))
            self._rows += [0, *range(first_row, first_row + len(fed))]
            self._targets += tokens

    def positions(self, past: int, context: int, device: torch.device) -> Tensor:
        """Return position ids ``[1, context + inputs]`` after ``past`` cached positions."""
        start = past + context
        own = (start + offset for offset in self._offset)
        return torch.tensor([[*range(past, start), *own]], device=device)

    def mask(self, past: int, context: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the additive attention mask ``[1, 1, context + inputs, past + context + inputs]``.

        A position sees the earlier positions of the cache, of the context and of its own continuation.
        """
        owner = torch.tensor([0] * (past + context) + self._owner, device=device)
        position = torch.arange(len(owner), device=device)
        seen = (owner == 0) | (owner == owner[past:, None])
        seen &= position <= position[past:, None]
        mask = torch.zeros(seen.shape, dtype=dtype, device=device)
        return mask.masked_fill_(~seen, torch.finfo(dtype).min)[None, None]

    def log_probabilities(self, logits: Tensor) -> list[Tensor]:
        """Return the log-probabilities of each continuation's tokens, float32 ``[batch, tokens]``.

        ``logits`` is ``[batch, 1 + inputs, vocabulary]``: the context's last position, then the inputs.
        """
        logits = logits.float()
        rows = torch.tensor(self._rows, dtype=torch.long, device=logits.device)
        targets = torch.tensor(self._targets, dtype=torch.long, device=logits.device)
        logprobs = logits[:, rows, targets] - logits.logsumexp(-1)[:, rows]
        return list(logprobs.split(self._lengths, dim=1))
