"""Training examples of nano: a clip or an image, with several questions and answers about it.

Each example has three of the questions that the agent asks: the description alone, description and diagnosis in one
prompt, the diagnosis from a description, the diagnosis with similar cases. The evidence is right, wrong or mixed, so
that the model learns to weigh it against the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from videopath.core.pathology.sites import SITES
from videopath.media import synthetic
from videopath.media.quality import attributes
from videopath.media.quality.attributes import Attributes
from videopath.training.data.corpus import UNKNOWN
from videopath.training.scratch import views
from videopath.training.scratch.loaded_corpus import LoadedCorpus
from videopath.training.scratch.question_answers import (
    DescriptionShares,
    ImageSearches,
    QuestionAnswer,
    QuestionWriter,
)


@dataclass(frozen=True)
class Example:
    """A clip or an image, with questions that do not see each other."""

    frames: np.ndarray
    """uint8 [T, H, W, 3]; T is 1 for an image."""
    is_image: bool
    questions: tuple[QuestionAnswer, ...]
    diagnosis: str
    measured: Attributes


@dataclass(frozen=True)
class ExampleMixture:
    """The kinds of examples, and their numbers of frames."""

    kinds: Mapping[str, float] = field(
        default_factory=lambda: {
            "clip": 0.66,
            "image": 0.08,
            "atlas": 0.10,
            "atlas tile": 0.06,
            "synthetic": 0.10,
        }
    )
    """Kind → share. "clip": a camera path over tiles; "image": one tile; "atlas": a clip of an atlas slide; "atlas tile":
    a camera path over an atlas tile; "synthetic": a drawn slide."""
    frames: tuple[int, ...] = (1, 4, 6, 8, 8, 8, 8, 12)
    """Each is equally likely."""


class ExampleMaker:
    """Makes examples by index; the same seed and index always give the same example, so a resumed run sees the same."""

    def __init__(
        self,
        source: LoadedCorpus,
        size: int,
        seed: int,
        shares: DescriptionShares = (0.6, 0.15, 0.25),
        question_count: int = 3,
        mixture: ExampleMixture | None = None,
        searches: ImageSearches | None = None,
    ) -> None:
        """Set up the draws.

        Args:
            source: What is drawn from.
            size: Width and height of a clip's frames in pixels.
            seed: Another seed gives other examples.
            shares: Shares of the descriptions before a diagnosis: correct, without facts, of another entity.
            question_count: Questions per example.
            mixture: Kinds of examples and numbers of frames.
            searches: Results of searches by image, which decide the similar cases; None: they are drawn.
        """
        self._source, self._size, self._seed = source, size, seed
        self._shares, self._question_count = shares, question_count
        self._mixture, self._searches = mixture or ExampleMixture(), searches or {}
        labels = list(source.by_label)
        weights = np.array([len(source.by_label[label]) for label in labels], dtype=float) ** 0.5
        self._labels, self._label_shares = labels, weights / weights.sum()

    def make(self, index: int) -> Example:
        """Return example ``index``."""
        rng = np.random.default_rng((self._seed, index))
        kind = str(rng.choice(list(self._mixture.kinds), p=list(self._mixture.kinds.values())))
        frames, site, diagnosis = self._draw(kind, rng)
        seen = frames if kind != "image" else np.stack([views.resize(frames[0], self._size)])
        measured = attributes.measure(seen)
        if rng.random() < 0.10:
            site, diagnosis = self._wrong_site(site, rng), UNKNOWN
        stated_site = site if diagnosis == UNKNOWN or rng.random() < 0.88 else None
        writer = QuestionWriter(
            self._source.cases,
            stated_site,
            site,
            diagnosis,
            measured,
            self._shares,
            rng,
            self._searches,
        )
        return Example(frames, kind == "image", writer.write(self._question_count), diagnosis, measured)

    def _draw(self, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, str, str]:
        """Frames, site and diagnosis."""
        source, count = self._source, int(rng.choice(self._mixture.frames))
        if kind == "synthetic":
            entity = str(rng.choice(list(synthetic.ENTITIES)))
            drawn = synthetic.render_clip(entity, int(rng.integers(1000, 2**31)), count, self._size)
            colour = views.ColourChange(rng, 0.4)
            return np.stack([colour(frame) for frame in drawn]), synthetic.ENTITIES[entity], entity
        if kind == "atlas":
            index = int(rng.integers(len(source.atlas)))
            sample, colour = source.atlas[index], views.ColourChange(rng)
            return (
                self._atlas_frames(source.atlas_clips[index], count, colour, rng),
                sample.site,
                sample.diagnosis,
            )
        if kind == "atlas tile":
            index = int(rng.integers(len(source.atlas_tiles)))
            sample = source.atlas_tiles[index]
            return (
                views.clip_views([source.atlas_tile_images[index]], count, self._size, rng),
                sample.site,
                sample.diagnosis,
            )
        label = str(rng.choice(self._labels, p=self._label_shares))
        indices = self._tile_indices(label, count if kind == "clip" else 1, rng)
        sample = source.tiles[indices[0]]
        if kind == "image":
            image = views.ColourChange(rng)(views.rotate_or_mirror(source.tile_images[indices[0]], rng))
            return image[None], sample.site, sample.diagnosis
        return (
            views.clip_views([source.tile_images[i] for i in indices], count, self._size, rng),
            sample.site,
            sample.diagnosis,
        )

    def _tile_indices(self, label: str, limit: int, rng: np.random.Generator) -> list[int]:
        """Draw one to three tiles of a class; if the group has several tiles, half of the time all are of one group."""
        first = int(rng.choice(self._source.by_label[label]))
        count = min(limit, int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])))
        sample = self._source.tiles[first]
        same_group = self._source.by_group[f"{label}/{sample.group}"]
        pool = same_group if len(same_group) > 1 and rng.random() < 0.5 else self._source.by_label[label]
        return [first, *(int(i) for i in rng.choice(pool, count - 1))]

    def _atlas_frames(
        self, clip: np.ndarray, count: int, colour: views.ColourChange, rng: np.random.Generator
    ) -> np.ndarray:
        start, end = sorted(rng.uniform(0, len(clip), 2)) if rng.random() < 0.5 else (0, len(clip))
        chosen = np.linspace(start, max(start, end - 1), count).astype(int).clip(0, len(clip) - 1)
        mirror = bool(rng.random() < 0.5)
        return np.stack(
            [colour(views.resize(clip[i][:, ::-1] if mirror else clip[i], self._size)) for i in chosen]
        )

    def _wrong_site(self, site: str, rng: np.random.Generator) -> str:
        others = [name for name in SITES if name != site]
        return str(rng.choice(others))
