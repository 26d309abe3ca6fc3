"""Second and third stage of nano: projector and decoder on a still tower, then everything together.

The turns of an example share one visual prefix: they stand one after the other in one sequence, each with the
positions it would have alone, and a mask keeps them from seeing each other. That is exactly what the engine does
with its cached prefix, at a third of the cost of separate sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer

from videopath.model.architecture.network import Network
from videopath.model.prompts.questions import DIAGNOSIS_START
from videopath.model.prompts.template import END_OF_TURN, IMAGE_TOKEN_ID, build_prompt, tokenise
from videopath.training.scratch.examples import Example, ExampleMaker, Turn

_DIAGNOSIS_WEIGHT = 3.0
"""A token of the diagnosis counts as much as three of the description: there are few of them and they matter most."""


@dataclass(frozen=True)
class PackedTurn:
    """Ids after the visual of one turn, and how much each counts in the loss (0: not learned)."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class PackedExample:
    """An example as the model reads it."""

    pixels: Tensor
    """float32 [N, 3, S, S]: frames, or the tiles of an image."""
    image_size: tuple[int, int] | None
    """(width, height) of an image; None for a clip."""
    head: list[int]
    """Ids before the visual."""
    turns: tuple[PackedTurn, ...]


class PackedExamples(Dataset[PackedExample]):
    """``length`` examples of an :class:`ExampleMaker`, tokenised."""

    def __init__(self, maker: ExampleMaker, network: Network, length: int) -> None:
        self._maker, self._network, self._length = maker, network, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> PackedExample:
        return pack(self._maker.make(index), self._network)


def pack(example: Example, network: Network) -> PackedExample:
    """Preprocess and tokenise."""
    height, width = example.frames.shape[1:3]
    pixels = network.prepare(example.frames, "image" if example.is_image else "video")
    ids = tokenise(network.tokenizer, build_prompt("?"))
    return PackedExample(
        pixels,
        (width, height) if example.is_image else None,
        ids[: ids.index(IMAGE_TOKEN_ID)],
        tuple(_pack_turn(turn, network) for turn in example.turns),
    )


def _pack_turn(turn: Turn, network: Network) -> PackedTurn:
    """Only the answer and its end mark are learned; the diagnosis weighs more."""
    prompt = tokenise(network.tokenizer, build_prompt(turn.question))
    asked = prompt[prompt.index(IMAGE_TOKEN_ID) + 1 :]
    before, mark, rest = turn.answer.partition(DIAGNOSIS_START)
    label, line_end, after = rest.partition("\n")
    ids, weights = list(asked), [0.0] * len(asked)
    parts = [(before + mark, 1.0), (label + line_end, _DIAGNOSIS_WEIGHT), (after + END_OF_TURN, 1.0)]
    for text, weight in parts:
        piece = tokenise(network.tokenizer, text) if text else []
        ids += piece
        weights += [weight] * len(piece)
    return PackedTurn(ids, weights)


def collate(examples: Sequence[PackedExample]) -> dict[str, object]:
    """A batch is the list itself: sequences are laid out after the visuals are known."""
    return {"examples": list(examples)}


class LanguagePupil(nn.Module):
    """A network with the loss over packed examples. ``still_tower``: the tower is not trained."""

    def __init__(self, network: Network, still_tower: bool) -> None:
        super().__init__()
        self.network = network
        self._still_tower = still_tower
        network.model.model.vision_tower.requires_grad_(not still_tower)

    def forward(self, examples: list[PackedExample]) -> dict[str, Tensor]:
        """Weighted cross-entropy over the answers' tokens."""
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
        chosen = torch.cat(
            [hidden[i, torch.tensor(row.readers)] for i, row in enumerate(rows)]
        )  # [M, hidden]
        targets = torch.tensor([t for row in rows for t in row.targets])
        weights = torch.tensor([w for row in rows for w in row.weights])
        losses = nn.functional.cross_entropy(
            self.network.model.lm_head(chosen).float(), targets, reduction="none"
        )
        return {"loss": (losses * weights).sum() / weights.sum()}

    def _visuals(self, examples: Sequence[PackedExample]) -> list[Tensor]:
        """One pass of the tower over all frames of the batch, then each example's own layout."""
        pixels = torch.cat([example.pixels for example in examples])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._still_tower):
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
        for number, turn in enumerate(example.turns, start=1):
            start = len(row.positions)
            pieces.append(self.network.embed_tokens(torch.tensor(turn.ids)).to(visual.dtype))
            row.positions += range(shared, shared + len(turn.ids))
            row.segments += [number] * len(turn.ids)
            learned = [i for i, weight in enumerate(turn.weights) if weight]
            row.readers += [start + i - 1 for i in learned]  # the token before predicts it
            row.targets += [turn.ids[i] for i in learned]
            row.weights += [turn.weights[i] for i in learned]
        row.embeds = torch.cat(pieces)
        return row


@dataclass
class _Row:
    embeds: Tensor
    positions: list[int]
    segments: list[int]
    """0: head and visual, seen by all; n: the n-th turn."""
    readers: list[int]
    targets: list[int]
    weights: list[float]


def _mask(segments: list[int], length: int) -> Tensor:
    """bool [L, L]: who may look at whom: back in time, at the shared part and at its own turn."""
    padded = torch.tensor(segments + [-1] * (length - len(segments)))
    same = (padded[:, None] == padded[None, :]) | (padded[None, :] == 0)
    return same.tril()


class LanguageTrainer(Trainer):
    """HF ``Trainer`` with a slower tower; examples keep their order (their randomness is already in them)."""

    tower_rate: float = 1e-4

    def create_optimizer(self, *_: object) -> torch.optim.Optimizer:
        """AdamW with three groups: tower, matrices, and vectors without weight decay."""
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
