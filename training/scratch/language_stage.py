"""Second and third stage of nano: projector and decoder with the tower frozen, then everything together.

The questions of an example share one visual. They stand one after the other in one row; each has the positions that it
would have alone, and a mask keeps them from seeing each other. The engine does the same with its cached prefix. It costs
a third of separate rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import Trainer

from videopath.model.architecture.network import Network
from videopath.training.scratch.packing import PackedExample


class LanguageLossModel(nn.Module):
    """A network with the loss over packed examples."""

    def __init__(self, network: Network, frozen_tower: bool) -> None:
        """Wrap the network.

        Args:
            network: The network that learns.
            frozen_tower: Whether the tower keeps its weights.
        """
        super().__init__()
        self.network = network
        self._frozen_tower = frozen_tower
        network.model.model.vision_tower.requires_grad_(not frozen_tower)

    def forward(self, examples: list[PackedExample]) -> dict[str, Tensor]:
        """Return the weighted cross-entropy over the tokens of the answers, as ``loss``."""
        rows = [
            self._row(example, visual)
            for example, visual in zip(examples, self._visuals(examples), strict=True)
        ]
        longest = max(len(row.embeds) for row in rows)
        embeds = torch.stack(
            [nn.functional.pad(row.embeds, (0, 0, 0, longest - len(row.embeds))) for row in rows]
        )
        positions = torch.tensor([row.positions + [0] * (longest - len(row.positions)) for row in rows])
        mask = torch.stack([_mask(row.segments, longest) for row in rows])[:, None]  # [B, 1, L, L]
        hidden = self.network.model.model.language_model(
            inputs_embeds=embeds, position_ids=positions, attention_mask=mask, use_cache=False
        ).last_hidden_state
        predicting = torch.cat(
            [hidden[i, torch.tensor(row.predicting)] for i, row in enumerate(rows)]
        )  # [M, hidden]
        targets = torch.tensor([t for row in rows for t in row.targets])
        weights = torch.tensor([w for row in rows for w in row.weights])
        losses = nn.functional.cross_entropy(
            self.network.model.lm_head(predicting).float(), targets, reduction="none"
        )
        return {"loss": (losses * weights).sum() / weights.sum()}

    def _visuals(self, examples: Sequence[PackedExample]) -> list[Tensor]:
        """Visual tokens of each example; the tower runs once over all frames of the batch."""
        pixels = torch.cat([example.pixels for example in examples])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen_tower):
            features = self.network.encode(pixels)
        projected = self.network.project(features).split([len(example.pixels) for example in examples])
        return [
            self.network.video_layout(part)
            if e.image_size is None
            else self.network.image_layout(part, e.image_size)
            for e, part in zip(examples, projected, strict=True)
        ]

    def _row(self, example: PackedExample, visual: Tensor) -> _Row:
        head = self.network.embed_tokens(torch.tensor(example.head)).to(visual.dtype)
        pieces, shared = [head, visual], len(head) + len(visual)
        row = _Row(visual, list(range(shared)), [0] * shared, [], [], [])
        for number, question in enumerate(example.questions, start=1):
            start = len(row.positions)
            pieces.append(self.network.embed_tokens(torch.tensor(question.ids)).to(visual.dtype))
            row.positions += range(shared, shared + len(question.ids))
            row.segments += [number] * len(question.ids)
            learned = [i for i, weight in enumerate(question.weights) if weight]
            row.predicting += [start + i - 1 for i in learned]  # the token before predicts it
            row.targets += [question.ids[i] for i in learned]
            row.weights += [question.weights[i] for i in learned]
        row.embeds = torch.cat(pieces)
        return row


@dataclass
class _Row:
    embeds: Tensor
    positions: list[int]
    segments: list[int]
    """0: head and visual, seen by all questions; n: the n-th question with its answer."""
    predicting: list[int]
    """Indices of the tokens that predict the targets."""
    targets: list[int]
    weights: list[float]


def _mask(segments: list[int], length: int) -> Tensor:
    """bool [L, L]: a token attends to earlier tokens of the shared part and of its own question."""
    padded = torch.tensor(segments + [-1] * (length - len(segments)))
    same = (padded[:, None] == padded[None, :]) | (padded[None, :] == 0)
    return same.tril()


class LanguageTrainer(Trainer):
    """HF ``Trainer`` with another learning rate for the tower. Examples keep their order: they are random already."""

    tower_rate: float = 1e-4

    def create_optimizer(self, *_: object) -> torch.optim.Optimizer:
        """Make AdamW with three groups: tower, matrices, and vectors without weight decay."""
        assert self.model is not None
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        tower = [p for n, p in named if "vision_tower" in n]
        rest = [(n, p) for n, p in named if "vision_tower" not in n]
        groups = [
            {"params": tower, "lr": self.tower_rate, "weight_decay": 0.05},
            {"params": [p for _, p in rest if p.ndim > 1], "weight_decay": self.args.weight_decay},
            {"params": [p for _, p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=self.args.learning_rate, betas=(0.9, 0.98)
        )
        return self.optimizer

    def _get_train_sampler(self, *_: object) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]
