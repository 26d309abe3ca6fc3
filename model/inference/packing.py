"""Several continuations of one context, scored in one row of one forward pass.

A batch would repeat the context's keys and values once per continuation. In a packed row they exist once: every
continuation follows the context by its position numbers, and a mask keeps the continuations from seeing each other
(tree attention, as in SpecInfer, Miao 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Packing:
    """Continuations (token lists, none empty) laid one behind the other.

    A continuation's last token is only predicted, never fed; its first is predicted by the context's last position.
    """

    def __init__(self, continuations: Sequence[Sequence[int]]) -> None:
        self.inputs: list[int] = []
        """The tokens to feed behind the context."""
        self._owner: list[int] = []  # per input: its continuation, from 1
        self._place: list[int] = []  # per input: its place in the continuation
        self._rows: list[int] = []  # per predicted token: which logits predict it; 0 are the context's last
        self._targets: list[int] = []
        self._lengths = [len(tokens) for tokens in continuations]
        for number, tokens in enumerate(continuations, start=1):
            first_row = len(self.inputs) + 1
            fed = list(tokens[:-1])
            self.inputs += fed
            self._owner += [number] * len(fed)
            self._place += range(len(fed))
            self._rows += [0, *range(first_row, first_row + len(fed))]
            self._targets += tokens

    def positions(self, past: int, context: int, device: torch.device) -> Tensor:
        """Position ids ``[1, context + inputs]`` behind ``past`` cached positions."""
        start = past + context
        return torch.tensor([[*range(past, start), *(start + place for place in self._place)]], device=device)

    def mask(self, past: int, context: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Additive attention mask ``[1, 1, context + inputs, past + context + inputs]``.

        A position sees what stands before it in the cache, in the context and in its own continuation.
        """
        owner = torch.tensor([0] * (past + context) + self._owner, device=device)
        place = torch.arange(len(owner), device=device)
        seen = (owner == 0) | (owner == owner[past:, None])
        seen &= place <= place[past:, None]
        mask = torch.zeros(seen.shape, dtype=dtype, device=device)
        return mask.masked_fill_(~seen, torch.finfo(dtype).min)[None, None]

    def log_probabilities(self, logits: Tensor) -> list[Tensor]:
        """Per continuation, its tokens' log-probabilities ``[batch, tokens]``, float32.

        ``logits`` is ``[batch, 1 + inputs, vocabulary]``: the context's last position, then the inputs.
        """
        logits = logits.float()
        rows = torch.tensor(self._rows, dtype=torch.long, device=logits.device)
        targets = torch.tensor(self._targets, dtype=torch.long, device=logits.device)
        found = logits[:, rows, targets] - logits.logsumexp(-1)[:, rows]
        return list(found.split(self._lengths, dim=1))
