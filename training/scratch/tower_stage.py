"""First stage of nano: the vision tower alone, by plain supervision on single views.

A tower of a few million parameters cannot be had pretrained, so it learns here what the published model takes from
SigLIP: the fifteen tissue classes (or no more than their sites), the atlas slides apart from each other, and the
measured attributes. Views are
mixed by MixUp (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import SiglipVisionConfig, SiglipVisionModel, Trainer

from videopath.core.choices import TileLabel
from videopath.media.quality import attributes
from videopath.model.architecture.network import Network
from videopath.model.inference.frame_vectors import encode_frames
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample
from videopath.training.scratch import views

_NEAREST = 5  # groups that a search finds
ATTRIBUTE_MEAN = np.array([0.22, 0.50, 0.22, 0.12, 0.50, 0.45], dtype=np.float32)
ATTRIBUTE_STD = np.array([0.16, 0.14, 0.17, 0.17, 0.24, 0.22], dtype=np.float32)


@dataclass(frozen=True)
class TowerData:
    """The training side of the corpus in memory."""

    images: list[np.ndarray]
    targets: np.ndarray
    """Class of each image: those of the tiles first, then the atlas cases."""
    classes: list[str]
    of_tiles: int
    """How many classes are those of tiles."""
    shares: np.ndarray
    """float64 [images]: how often each is drawn of its class. A group with many images is drawn more often than one
    with few, but each of its images less."""

    @classmethod
    def read(cls, data: Path, tells: TileLabel = "diagnosis") -> TowerData:
        """Read tiles and atlas tiles of the training side; a tile's class is its diagnosis, or its site alone."""
        tiles = [s for s in corpus.read_tiles(data) if s.split == "train"]
        atlas = [s for s in corpus.read_atlas_tiles(data, corpus.read_atlas(data)) if s.split == "train"]
        known = list(corpus.LABELS) if tells == "diagnosis" else list(corpus.diagnoses_by_site())
        classes = [*known, *sorted({s.label for s in atlas})]
        named = [*(s.label if tells == "diagnosis" else s.site for s in tiles), *(s.label for s in atlas)]
        targets = np.array([classes.index(name) for name in named])
        sizes = Counter((s.label, s.group) for s in [*tiles, *atlas])
        shares = np.array([sizes[s.label, s.group] ** -0.5 for s in [*tiles, *atlas]])
        return cls(corpus.load_images([*tiles, *atlas]), targets, classes, len(known), shares)


class TowerViews(Dataset[dict[str, Tensor]]):
    """``length`` random views; view i is the same in every run, so that a resumed run sees what a whole one would."""

    def __init__(self, data: TowerData, length: int, size: int, seed: int) -> None:
        self._data, self._length, self._size, self._seed = data, length, size, seed
        counts = np.bincount(data.targets, minlength=len(data.classes)).astype(float)
        weight = np.where(np.arange(len(counts)) < data.of_tiles, counts**0.5, counts * 0.15)
        self._class_share = weight / weight.sum()
        self._members = [np.flatnonzero(data.targets == c) for c in range(len(data.classes))]
        self._member_shares = [data.shares[m] / data.shares[m].sum() for m in self._members]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self._seed, index))
        image, target = self._draw(rng)
        target_share = np.zeros(len(self._data.classes), dtype=np.float32)
        share = 1.0
        if rng.random() < 0.4:
            other, other_target = self._draw(rng)
            image, share = _mixed(image, other, rng)
            target_share[other_target] += 1.0 - share
        target_share[target] += share
        measured = (attributes.measure(image[None]).as_array() - ATTRIBUTE_MEAN) / ATTRIBUTE_STD
        return {
            "views": torch.from_numpy(image).permute(2, 0, 1),
            "target_share": torch.from_numpy(target_share),
            "measured": torch.from_numpy(measured),
        }

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        target = int(rng.choice(len(self._class_share), p=self._class_share))
        image = self._data.images[int(rng.choice(self._members[target], p=self._member_shares[target]))]
        return views.random_view(image, self._size, rng), target


def _mixed(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """MixUp or CutMix; returns the image and the share of the first."""
    if rng.random() < 0.4:
        share = float(rng.beta(0.4, 0.4))
        return (first * share + second * (1 - share)).astype(np.uint8), share
    size = first.shape[0]
    side = round(size * float(rng.uniform(0.3, 0.75)))
    top, left = rng.integers(0, size - side + 1, 2)
    image = first.copy()
    image[top : top + side, left : left + side] = second[top : top + side, left : left + side]
    return image, 1.0 - (side / size) ** 2


class TowerPupil(nn.Module):
    """The tower with two throw-away heads: classes and attributes, on the mean over its patches."""

    def __init__(self, config: SiglipVisionConfig, classes: int, smoothing: float = 0.05) -> None:
        super().__init__()
        self.tower = SiglipVisionModel(config)
        self.tower.set_submodule(
            "post_layernorm", nn.Identity()
        )  # the projector reads the last layer before this norm
        self.norm = nn.LayerNorm(config.hidden_size)
        self.classify = nn.Linear(config.hidden_size, classes)
        self.describe = nn.Linear(config.hidden_size, len(attributes.NAMES))
        self._smoothing = smoothing

    def logits(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """``pixels`` uint8 [N, 3, S, S] → class logits [N, C], standardised attributes [N, 6]."""
        scaled = pixels.float().div(127.5).sub(1.0)
        pooled = self.norm(self.tower(pixel_values=scaled).last_hidden_state.mean(dim=1))  # [N, hidden]
        return self.classify(pooled), self.describe(pooled)

    def forward(self, views: Tensor, target_share: Tensor, measured: Tensor) -> dict[str, Tensor]:
        """Loss over a batch."""
        logits, described = self.logits(views)
        smooth = target_share * (1 - self._smoothing) + self._smoothing / target_share.shape[1]
        loss = -(smooth * logits.float().log_softmax(-1)).sum(-1).mean()
        loss = loss + 0.5 * nn.functional.smooth_l1_loss(described.float(), measured)
        return {"loss": loss, "logits": logits}


@torch.inference_mode()
def tower_accuracy(pupil: TowerPupil, samples: Sequence[Sample], size: int) -> dict[str, float]:
    """Accuracy by label on whole single tiles with the site given (only that site's classes compete)."""
    pupil.eval()
    labels = list(corpus.LABELS)
    site_of = [corpus.LABELS[label][0] for label in labels]
    hits: dict[str, list[bool]] = {label: [] for label in labels}
    images = corpus.load_images(samples)
    for start in range(0, len(samples), 64):
        part = samples[start : start + 64]
        batch = np.stack([views.resized(image, size) for image in images[start : start + 64]])
        logits, _ = pupil.logits(torch.from_numpy(batch).permute(0, 3, 1, 2))
        for sample, row in zip(part, logits[:, : len(labels)], strict=True):
            allowed = torch.tensor([site == sample.site for site in site_of])
            hits[sample.label].append(labels[int(row.masked_fill(~allowed, -1e9).argmax())] == sample.label)
    return {label: float(np.mean(found)) for label, found in hits.items() if found}


def searches(
    network: Network, known: Sequence[Sample], asked: Sequence[Sample]
) -> dict[str, list[list[str]]]:
    """Diagnosis → for each asked tile of it, the diagnoses of the nearest known groups at its site.

    The tower was trained on the known tiles; ``asked`` are of groups that it has not seen, so that the searches are as often
    right as they are in use.
    """
    vectors, questions = (_vectors(network, samples) for samples in (known, asked))
    centre = vectors.mean(axis=0)
    vectors = vectors - centre
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)  # the length of the question changes no order
    found: dict[str, list[list[str]]] = {}
    for sample, question in zip(asked, questions, strict=True):
        groups: dict[str, str] = {}
        for place in np.argsort(-(vectors @ (question - centre))):
            if known[place].site == sample.site and len(groups) < _NEAREST:
                groups.setdefault(known[place].group, known[place].diagnosis)
        found.setdefault(sample.diagnosis, []).append(list(groups.values()))
    return found


def _vectors(network: Network, samples: Sequence[Sample]) -> np.ndarray:
    """float32 [samples, hidden]: each whole tile as the tower sees it."""
    size = network.config.image_size
    images = np.stack([views.resized(image, size) for image in corpus.load_images(samples)])
    return encode_frames(network, images)


class TowerTrainer(Trainer):
    """HF ``Trainer`` that keeps the order of the views (their randomness is already in them)."""

    def _get_train_sampler(self, *_: object) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]
