"""A network with its loss over conversations, as the ``Trainer`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from videopath.model.architecture.network import Network
from videopath.model.prompts.template import IMAGE_TOKEN_ID
from videopath.training.data.supervision import IGNORED

Visual = tuple[int, "tuple[int, int] | None"]
"""How many of a batch's pixel planes belong to a visual, and an image's (width, height); none for a clip."""


class ConversationLossModel(nn.Module):
    """The network in training: a batch of conversations gives the cross-entropy of what is supervised."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.tokens = 0
        """Tokens that went through the decoder so far, visual ones included, without padding."""

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        lengths: Sequence[int],
        pixels: Tensor | None,
        visuals: Sequence[Visual],
        num_items_in_batch: Tensor | int | None = None,
        **_: Any,
    ) -> dict[str, Tensor]:
        """The loss over a batch as :func:`batches.collate` makes it.

        ``input_ids`` and ``labels`` are ``[B, L]``, of which row b holds ``lengths[b]`` tokens; ``pixels`` are ``[N, 3, S, S]``
        of all visuals in order. The mean is over the batch's supervised tokens, or the sum over
        ``num_items_in_batch``: those of all micro-batches and processes of one step. Rows are cut from the end to the
        checkpoint's ``max_length``, as in the original.
        """
        if not lengths:
            return {"loss": self._untouched()}
        network, embedded = self.network, iter(self._visuals(pixels, visuals))
        rows, targets = [], []
        for ids, row_labels, length in zip(input_ids, labels, lengths, strict=True):
            listed = ids[:length].tolist()
            own = [next(embedded) for _ in range(listed.count(IMAGE_TOKEN_ID))]
            rows.append(network.embed(listed, own)[0])
            targets.append(_expanded(listed, row_labels[:length], own)[: network.config.max_length])
        self.tokens += sum(len(row) for row in rows)
        longest = max(len(row) for row in rows)
        embeds = torch.stack([functional.pad(row, (0, 0, 0, longest - len(row))) for row in rows])
        attended = torch.stack([torch.arange(longest, device=embeds.device) < len(row) for row in rows])
        states = network.model.model.language_model(
            inputs_embeds=embeds, attention_mask=attended.long(), use_cache=False
        ).last_hidden_state
        following = torch.stack(
            [functional.pad(row[1:], (0, longest - len(row) + 1), value=IGNORED) for row in targets]
        )
        learned = following != IGNORED
        # the vocabulary is wide: logits are made of the positions that are learned, not of all
        logits = network.model.lm_head(states[learned]).float()
        total = functional.cross_entropy(logits, following[learned], reduction="sum")
        if pixels is None:
            total = total + self._untouched()
        return {"loss": total / (learned.sum() if num_items_in_batch is None else num_items_in_batch)}

    def _untouched(self) -> Tensor:
        """0, of all that learns: where several processes share a step, each has a gradient for every parameter."""
        return sum(
            (p.sum() * 0 for p in self.parameters() if p.requires_grad),
            torch.zeros((), device=self.network.device),
        )

    def activation_checkpointing_enable(self, **settings: Any) -> None:
        """Keep no activations within layers: they are computed again on the way back."""
        self.network.model.activation_checkpointing_enable(**settings)

    def compile_layers(self) -> None:
        """Compile the layers of tower and decoder, one by one: what lies between them is too irregular to gain from it."""
        model = self.network.model.model
        for layer in (*model.vision_tower.encoder.layers, *model.language_model.layers):
            layer.compile(dynamic=True)

    def _visuals(self, pixels: Tensor | None, visuals: Sequence[Visual]) -> list[Tensor]:
        """Visual tokens ``[M, hidden]`` of each visual; the tower runs once over all of them."""
        if pixels is None:
            return []
        network = self.network
        projected = network.project(network.encode(pixels.to(network.dtype)))
        parts = projected.split([count for count, _ in visuals])
        return [
            network.video_layout(part) if size is None else network.image_layout(part, size)
            for part, (_, size) in zip(parts, visuals, strict=True)
        ]


def _expanded(ids: Sequence[int], labels: Tensor, visuals: Sequence[Tensor]) -> Tensor:
    """Labels ``[L]`` of a row whose visuals take their places: a visual's tokens are not learned."""
    pieces: list[Tensor] = []
    start, own = 0, iter(visuals)
    for place, token in enumerate(ids):
        if token == IMAGE_TOKEN_ID:
            pieces += [labels[start:place], labels.new_full((len(next(own)),), IGNORED)]
            start = place + 1
    return torch.cat([*pieces, labels[start:]])
