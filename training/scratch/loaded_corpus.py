"""The corpus in memory: everything that training examples are drawn from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from videopath.knowledge import read_records, starter_records
from videopath.media.clip import open_clip
from videopath.model.prompts.questions import SimilarCaseText
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample
from videopath.training.recipe import STARTER
from videopath.training.scratch import views

_SIDE = 256
"""Width and height of clips in memory, in pixels. Crops stay sharp because this is more than the tower reads."""


@dataclass
class LoadedCorpus:
    """One side of the split, decoded."""

    tiles: list[Sample]
    tile_images: list[np.ndarray]
    """uint8 [H, W, 3] each."""
    atlas: list[Sample]
    atlas_clips: list[np.ndarray]
    """uint8 [T, 256, 256, 3] each."""
    atlas_tiles: list[Sample]
    atlas_tile_images: list[np.ndarray]
    """uint8 [H, W, 3] each."""
    cases: list[SimilarCaseText]
    """Similar cases in the words of a knowledge base, also of entities that no tile shows."""
    by_label: dict[str, list[int]] = field(default_factory=dict)
    """Label → indices of its tiles."""
    by_group: dict[str, list[int]] = field(default_factory=dict)
    """"label/group" → indices of its tiles."""

    @classmethod
    def read(cls, data: Path, split: corpus.Split, evidence: str | None) -> LoadedCorpus:
        """Read one side of the split.

        Args:
            data: The folder with ``manifest.csv``, ``slides.csv`` and what they name.
            split: The side.
            evidence: The ``evidence`` of a recipe; see :func:`read_similar_cases`. None: no similar cases.

        Raises:
            InputError: A table or an image cannot be read.
            KnowledgeError: The evidence cannot be read.
        """
        tiles = [s for s in corpus.read_tiles(data) if s.split == split]
        slides = corpus.read_atlas(data)
        atlas = [s for s in slides if s.split == split and s.path.is_file()]
        atlas_tiles = [s for s in corpus.read_atlas_tiles(data, slides) if s.split == split]
        loaded = cls(
            tiles,
            corpus.load_images(tiles),
            atlas,
            [_small_clip(slide.path) for slide in atlas],
            atlas_tiles,
            corpus.load_images(atlas_tiles),
            read_similar_cases(evidence) if evidence else [],
        )
        by_label, by_group = defaultdict(list), defaultdict(list)
        for index, sample in enumerate(tiles):
            by_label[sample.label].append(index)
            by_group[f"{sample.label}/{sample.group}"].append(index)
        loaded.by_label, loaded.by_group = dict(by_label), dict(by_group)
        return loaded


def read_similar_cases(evidence: str) -> list[SimilarCaseText]:
    """Return diagnosis and description of each record that has both.

    Args:
        evidence: "starter" for the starter knowledge base, or the path of a file of records.

    Raises:
        KnowledgeError: The file is missing or holds a damaged record.
    """
    records = starter_records() if evidence == STARTER else read_records(evidence)
    return [SimilarCaseText(r.diagnosis, r.description) for r in records if r.diagnosis and r.description]


def _small_clip(path: Path) -> np.ndarray:
    clip = open_clip(path, frames=48)
    return np.stack([views.resize(frame, _SIDE) for frame in clip.frames])
