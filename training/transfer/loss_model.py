"""A network with the loss over conversations, as the HF ``Trainer`` calls it."""

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
"""Number of a visual's frames or tiles in the batch's pixels, and an image's (width, height); None for a clip."""


class ConversationLossModel(nn.Module):
    """A network that returns the cross-entropy of the supervised tokens of a batch of conversations."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.tokens = 0
        """Tokens that the decoder has processed so far, with visual tokens and without padding."""

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
        """Return the loss over a batch of :func:`videopath.training.data.conversations.collate`, as ``loss``.

        Rows longer than the checkpoint's ``max_length`` are cut at the end, as in the original.

        Args:
            input_ids: int64 [B, L].
            labels: int64 [B, L]; -100 for tokens that are not learned.
            lengths: Tokens of each row.
            pixels: float32 [N, 3, S, S]: frames and tiles of all visuals in order; None without visuals.
            visuals: The visuals in order.
            num_items_in_batch: Supervised tokens of all micro-batches and processes of one step; the sum of the
                losses is divided by it. None: the mean over this batch.
        """
        if not lengths:
            return {"loss": self._untouched()}
        network, embedded = self.network, iter(self._visuals(pixels, visuals))
        rows, targets = [], []
        for ids, row_labels, length in zip(input_ids, labels, lengths, strict=True):
            listed = ids[:length].tolist()
            of_row = [next(embedded) for _ in range(listed.count(IMAGE_TOKEN_ID))]
            rows.append(network.embed(listed, of_row)[0])
            targets.append(_expanded(listed, row_labels[:length], of_row)[: network.config.max_length])
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
        # the vocabulary is large, so logits are computed only where a token is learned
        logits = network.model.lm_head(states[learned]).float()
        total = functional.cross_entropy(logits, following[learned], reduction="sum")
        if pixels is None:
            total = total + self._untouched()
        return {"loss": total / (learned.sum() if num_items_in_batch is None else num_items_in_batch)}

    def _untouched(self) -> Tensor:
        """Zero, computed from all trainable parameters: each process of a step needs a gradient for every one."""
        return sum(
            (p.sum() * 0 for p in self.parameters() if p.requires_grad),
            torch.zeros((), device=self.network.device),
        )

    def activation_checkpointing_enable(self, **settings: Any) -> None:
        """Recompute the activations within layers in the backward pass instead of keeping them."""
        self.network.model.activation_checkpointing_enable(**settings)

    def compile_layers(self) -> None:
        """Compile each layer of tower and decoder. The code between them is too irregular to gain from it."""
        model = self.network.model.model
        for layer in (*model.vision_tower.encoder.layers, *model.language_model.layers):
            layer.compile(dynamic=True)

    def _visuals(self, pixels: Tensor | None, visuals: Sequence[Visual]) -> list[Tensor]:
        """Visual tokens [M, hidden] of each visual; the tower runs once over all of them."""
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
    """Labels [L] of a row after its visuals are inserted; visual tokens are not learned."""
    pieces: list[Tensor] = []
    start, remaining = 0, iter(visuals)
    for index, token in enumerate(ids):
        if token == IMAGE_TOKEN_ID:
            pieces += [labels[start:index], labels.new_full((len(next(remaining)),), IGNORED)]
            start = index + 1
    return torch.cat([*pieces, labels[start:]])
