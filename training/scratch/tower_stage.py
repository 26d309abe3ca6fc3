"""First stage of nano: the vision tower alone, by supervised training on altered pictures of single tiles.

No pretrained tower has so few parameters. So the tower learns here what the published model takes from SigLIP: to tell
apart the fifteen tissue classes (or only their sites) and the atlas cases, and to estimate the measured attributes.
Pictures are mixed by MixUp (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import SiglipVisionConfig, SiglipVisionModel, Trainer

from videopath.core.choices import TileLabel
from videopath.media.quality import attributes
from videopath.training.data import corpus
from videopath.training.scratch import views

ATTRIBUTE_MEAN = np.array([0.22, 0.50, 0.22, 0.12, 0.50, 0.45], dtype=np.float32)
ATTRIBUTE_STD = np.array([0.16, 0.14, 0.17, 0.17, 0.24, 0.22], dtype=np.float32)


@dataclass(frozen=True)
class TowerData:
    """The images of the training side in memory, with their classes."""

    images: list[np.ndarray]
    """uint8 [H, W, 3] each."""
    targets: np.ndarray
    """int [images]: index of each image's class."""
    classes: list[str]
    """The classes of the tiles, then the atlas cases."""
    tile_classes: int
    """Number of classes of the tiles."""
    weights: np.ndarray
    """float64 [images]: weight of each image in the draws of its class, 1 / √(images of its group)."""

    @classmethod
    def read(cls, data: Path, tells: TileLabel = "diagnosis") -> TowerData:
        """Read tiles and atlas tiles of the training side.

        Args:
            data: The folder with ``manifest.csv`` and ``slides.csv``.
            tells: The class of a tile: its diagnosis, or only its site.

        Raises:
            InputError: A table or an image cannot be read.
        """
        tiles = [s for s in corpus.read_tiles(data) if s.split == "train"]
        atlas = [s for s in corpus.read_atlas_tiles(data, corpus.read_atlas(data)) if s.split == "train"]
        known = list(corpus.LABELS) if tells == "diagnosis" else list(corpus.diagnoses_by_site())
        classes = [*known, *sorted({s.label for s in atlas})]
        names = [*(s.label if tells == "diagnosis" else s.site for s in tiles), *(s.label for s in atlas)]
        targets = np.array([classes.index(name) for name in names])
        sizes = Counter((s.label, s.group) for s in [*tiles, *atlas])
        weights = np.array([sizes[s.label, s.group] ** -0.5 for s in [*tiles, *atlas]])
        return cls(corpus.load_images([*tiles, *atlas]), targets, classes, len(known), weights)


class TowerViews(Dataset[dict[str, Tensor]]):
    """``length`` random pictures; picture i is the same in every run, so a resumed run sees the same."""

    def __init__(self, data: TowerData, length: int, size: int, seed: int) -> None:
        self._data, self._length, self._size, self._seed = data, length, size, seed
        counts = np.bincount(data.targets, minlength=len(data.classes)).astype(float)
        weights = np.where(np.arange(len(counts)) < data.tile_classes, counts**0.5, counts * 0.15)
        self._class_shares = weights / weights.sum()
        self._members = [np.flatnonzero(data.targets == c) for c in range(len(data.classes))]
        self._member_shares = [data.weights[m] / data.weights[m].sum() for m in self._members]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self._seed, index))
        image, target = self._draw(rng)
        target_share = np.zeros(len(self._data.classes), dtype=np.float32)
        share = 1.0
        if rng.random() < 0.4:
            other, other_target = self._draw(rng)
            image, share = _mix(image, other, rng)
            target_share[other_target] += 1.0 - share
        target_share[target] += share
        measured = (attributes.measure(image[None]).as_array() - ATTRIBUTE_MEAN) / ATTRIBUTE_STD
        return {
            "views": torch.from_numpy(image).permute(2, 0, 1),
            "target_share": torch.from_numpy(target_share),
            "measured": torch.from_numpy(measured),
        }

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        target = int(rng.choice(len(self._class_shares), p=self._class_shares))
        image = self._data.images[int(rng.choice(self._members[target], p=self._member_shares[target]))]
        return views.random_view(image, self._size, rng), target


def _mix(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Mix two images by MixUp or CutMix; return the image and the share of the first."""
    if rng.random() < 0.4:
        share = float(rng.beta(0.4, 0.4))
        return (first * share + second * (1 - share)).astype(np.uint8), share
    size = first.shape[0]
    side = round(size * float(rng.uniform(0.3, 0.75)))
    top, left = rng.integers(0, size - side + 1, 2)
    image = first.copy()
    image[top : top + side, left : left + side] = second[top : top + side, left : left + side]
    return image, 1.0 - (side / size) ** 2


class TowerLossModel(nn.Module):
    """The tower with two heads on the mean over its patches, for classes and attributes. Only this training uses them."""

    def __init__(self, config: SiglipVisionConfig, classes: int, smoothing: float = 0.05) -> None:
        """Make a tower and heads with random weights.

        Args:
            config: The size of the tower.
            classes: Number of classes.
            smoothing: Share of each target that is spread over all classes.
        """
        super().__init__()
        self.tower = SiglipVisionModel(config)
        # the projector reads the last layer before this norm
        self.tower.set_submodule("post_layernorm", nn.Identity())
        self.norm = nn.LayerNorm(config.hidden_size)
        self.classify = nn.Linear(config.hidden_size, classes)
        self.describe = nn.Linear(config.hidden_size, len(attributes.NAMES))
        self._smoothing = smoothing

    def logits(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits [N, C] and standardised attributes [N, 6] of ``pixels``, uint8 [N, 3, S, S]."""
        scaled = pixels.float().div(127.5).sub(1.0)
        pooled = self.norm(self.tower(pixel_values=scaled).last_hidden_state.mean(dim=1))  # [N, hidden]
        return self.classify(pooled), self.describe(pooled)

    def forward(self, views: Tensor, target_share: Tensor, measured: Tensor) -> dict[str, Tensor]:
        """Return the loss over a batch: soft cross-entropy of the classes, half a smooth L1 of the attributes.

        Args:
            views: uint8 [N, 3, S, S].
            target_share: float32 [N, C]: share of each class in the picture.
            measured: float32 [N, 6]: standardised attributes.

        Returns:
            ``loss``, and ``logits`` [N, C].
        """
        logits, estimated = self.logits(views)
        smooth = target_share * (1 - self._smoothing) + self._smoothing / target_share.shape[1]
        loss = -(smooth * logits.float().log_softmax(-1)).sum(-1).mean()
        loss = loss + 0.5 * nn.functional.smooth_l1_loss(estimated.float(), measured)
        return {"loss": loss, "logits": logits}


class TowerTrainer(Trainer):
    """HF ``Trainer`` that keeps the order of the pictures: they are random already."""

    def _get_train_sampler(self, *_: object) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]
