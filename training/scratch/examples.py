"""Training examples of nano: a clip or an image, and several questions with their answers about it.

Each example asks three of the questions that the agent asks: the description alone, the original's one prompt,
the diagnosis from a description, the diagnosis with similar cases. Evidence is right, wrong or mixed, so that the
model learns to weigh it against what it sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np

from videopath.core.jsonl import json_entries
from videopath.core.pathology.sites import SITES
from videopath.media import synthetic
from videopath.media.clip import open_clip
from videopath.media.quality import attributes
from videopath.media.quality.attributes import Attributes
from videopath.model.prompts import questions
from videopath.model.prompts.questions import Evidence
from videopath.training.data import corpus
from videopath.training.data.corpus import UNKNOWN, Sample
from videopath.training.scratch import descriptions, views
from videopath.training.scratch.question_wordings import diagnosis_question

Searches = Mapping[str, Sequence[Sequence[str]]]
"""Diagnosis → what searches by pictures of it found: the diagnoses of the nearest cases, of groups not searched with."""
Shares = tuple[float, float, float]
"""Descriptions put before a diagnosis: right, without facts, of another entity."""
_SIDE = 256
"""Clips are kept at this size in memory, larger than what the tower reads so that crops stay sharp."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Example:
    """Frames uint8 [T, H, W, 3] of a clip (or one image, T = 1), with turns that do not see each other."""

    frames: np.ndarray
    is_image: bool
    turns: tuple[Turn, ...]
    diagnosis: str
    measured: Attributes


@dataclass
class Corpus:
    """All that examples are drawn from: one side of the split, in memory."""

    tiles: list[Sample]
    tile_images: list[np.ndarray]
    atlas: list[Sample]
    atlas_clips: list[np.ndarray]
    atlas_tiles: list[Sample]
    atlas_tile_images: list[np.ndarray]
    cases: list[Evidence]
    """Similar cases as a knowledge base words them; also of entities that are not in the tiles."""
    by_label: dict[str, list[int]] = field(default_factory=dict)
    by_group: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Path, split: corpus.Split, evidence: str | None) -> Corpus:
        """Read one side. ``evidence``: ``package:file`` with instruction records, as JSON lines."""
        tiles = [s for s in corpus.read_tiles(data) if s.split == split]
        slides = corpus.read_atlas(data)
        atlas = [s for s in slides if s.split == split and s.path.is_file()]
        atlas_tiles = [s for s in corpus.read_atlas_tiles(data, slides) if s.split == split]
        read = cls(
            tiles,
            corpus.load_images(tiles),
            atlas,
            [_small_clip(slide.path) for slide in atlas],
            atlas_tiles,
            corpus.load_images(atlas_tiles),
            read_evidence(evidence) if evidence else [],
        )
        by_label, by_group = defaultdict(list), defaultdict(list)
        for place, sample in enumerate(tiles):
            by_label[sample.label].append(place)
            by_group[f"{sample.label}/{sample.group}"].append(place)
        read.by_label, read.by_group = dict(by_label), dict(by_group)
        return read


def read_evidence(source: str) -> list[Evidence]:
    """Diagnosis and description of each record in ``package:file``."""
    package, name = source.split(":")
    records = [entry.value for entry in json_entries(files(package).joinpath(name))]
    return [Evidence(record["diagnosis"], record["description"]) for record in records]


def _small_clip(path: Path) -> np.ndarray:
    """Every second frame of a clip, squashed to 256 x 256: uint8 [T, 256, 256, 3]."""
    clip = open_clip(path, frames=48)
    return np.stack([views.resized(frame, _SIDE) for frame in clip.frames])


@dataclass(frozen=True)
class Mixture:
    """What examples show, and how many frames of it."""

    kinds: Mapping[str, float] = field(
        default_factory=lambda: {
            "clip": 0.66,
            "image": 0.08,
            "atlas": 0.10,
            "atlas tile": 0.06,
            "synthetic": 0.10,
        }
    )
    """Kind → its share: clips over tiles, single tiles, the atlas slides' clips, clips over their tiles, drawn slides."""
    frames: tuple[int, ...] = (1, 4, 6, 8, 8, 8, 8, 12)


class ExampleMaker:
    """Draws example ``index`` of a seed: always the same one, so that a resumed run goes on as a whole one would."""

    def __init__(
        self,
        source: Corpus,
        size: int,
        seed: int,
        descriptions: Shares = (0.6, 0.15, 0.25),
        turns: int = 3,
        mixture: Mixture | None = None,
        retrieved: Searches | None = None,
    ) -> None:
        self._retrieved = retrieved or {}
        self._source, self._size, self._seed, self._turns = source, size, seed, turns
        self._descriptions, self._mixture = descriptions, mixture or Mixture()
        labels = list(source.by_label)
        counts = np.array([len(source.by_label[label]) for label in labels], dtype=float) ** 0.5
        self._labels, self._share = labels, counts / counts.sum()

    def make(self, index: int) -> Example:
        """Draw one example."""
        rng = np.random.default_rng((self._seed, index))
        kind = str(rng.choice(list(self._mixture.kinds), p=list(self._mixture.kinds.values())))
        frames, site, diagnosis = self._look(kind, rng)
        seen = frames if kind != "image" else np.stack([views.resized(frames[0], self._size)])
        measured = attributes.measure(seen)
        if rng.random() < 0.10:
            site, diagnosis = self._wrong_site(site, rng), UNKNOWN
        told_site = site if diagnosis == UNKNOWN or rng.random() < 0.88 else None
        teller = Teller(
            self._source.cases,
            told_site,
            site,
            diagnosis,
            measured,
            self._descriptions,
            rng,
            self._retrieved,
        )
        return Example(frames, kind == "image", teller.turns(self._turns), diagnosis, measured)

    def _look(self, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, str, str]:
        """Frames, site and diagnosis of one draw."""
        source, count = self._source, int(rng.choice(self._mixture.frames))
        if kind == "synthetic":
            entity = str(rng.choice(list(synthetic.ENTITIES)))
            drawn = synthetic.render_clip(entity, int(rng.integers(1000, 2**31)), count, self._size)
            colour = views.Colour(rng, 0.4)
            return np.stack([colour(frame) for frame in drawn]), synthetic.ENTITIES[entity], entity
        if kind == "atlas":
            place = int(rng.integers(len(source.atlas)))
            sample, colour = source.atlas[place], views.Colour(rng)
            return (
                self._atlas_frames(source.atlas_clips[place], count, colour, rng),
                sample.site,
                sample.diagnosis,
            )
        if kind == "atlas tile":
            place = int(rng.integers(len(source.atlas_tiles)))
            sample = source.atlas_tiles[place]
            return (
                views.clip_views([source.atlas_tile_images[place]], count, self._size, rng),
                sample.site,
                sample.diagnosis,
            )
        label = str(rng.choice(self._labels, p=self._share))
        places = self._fields(label, count if kind == "clip" else 1, rng)
        sample = source.tiles[places[0]]
        if kind == "image":
            image = views.Colour(rng)(views.turned(source.tile_images[places[0]], rng))
            return image[None], sample.site, sample.diagnosis
        return (
            views.clip_views([source.tile_images[p] for p in places], count, self._size, rng),
            sample.site,
            sample.diagnosis,
        )

    def _fields(self, label: str, most: int, rng: np.random.Generator) -> list[int]:
        """One to three fields of one class, of the same group where it has several."""
        first = int(rng.choice(self._source.by_label[label]))
        wanted = min(most, int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])))
        sample = self._source.tiles[first]
        same = self._source.by_group[f"{label}/{sample.group}"]
        pool = same if len(same) > 1 and rng.random() < 0.5 else self._source.by_label[label]
        return [first, *(int(p) for p in rng.choice(pool, wanted - 1))]

    def _atlas_frames(
        self, clip: np.ndarray, count: int, colour: views.Colour, rng: np.random.Generator
    ) -> np.ndarray:
        start, end = sorted(rng.uniform(0, len(clip), 2)) if rng.random() < 0.5 else (0, len(clip))
        chosen = np.linspace(start, max(start, end - 1), count).astype(int).clip(0, len(clip) - 1)
        mirror = bool(rng.random() < 0.5)
        return np.stack(
            [colour(views.resized(clip[i][:, ::-1] if mirror else clip[i], self._size)) for i in chosen]
        )

    def _wrong_site(self, site: str, rng: np.random.Generator) -> str:
        others = [name for name in SITES if name != site]
        return str(rng.choice(others))


@dataclass(frozen=True)
class Teller:
    """Puts what is known of one clip into questions and answers."""

    cases: Sequence[Evidence]
    told_site: str | None
    site: str
    diagnosis: str
    measured: Attributes
    descriptions: Shares
    rng: np.random.Generator
    retrieved: Searches = field(default_factory=dict)

    def turns(self, count: int) -> tuple[Turn, ...]:
        """``count`` different kinds of question; the one with similar cases is always among them."""
        kinds = [self._describe, self._one_prompt, self._from_description, self._plainly]
        order = self.rng.permutation(len(kinds))[: count - 1]
        return (*(kinds[i]() for i in order), self._with_cases())

    def _question(self) -> str | None:
        """The user's own words; none as often: then it is the usual question."""
        return None if self.rng.random() < 0.5 else diagnosis_question(self.told_site, self.rng)

    def _description(self) -> str:
        return descriptions.describe(self.diagnosis, self.measured, self.rng)

    def _describe(self) -> Turn:
        return Turn(questions.describe_question(self.told_site), self._description())

    def _one_prompt(self) -> Turn:
        answer = questions.one_prompt_answer(self._description(), self.diagnosis)
        return Turn(questions.one_prompt_question(self.told_site, self._question()), answer)

    def _plainly(self) -> Turn:
        """A question and nothing more, as a person asks who does not know the agent's forms."""
        answer = questions.one_prompt_answer(self._description(), self.diagnosis)
        return Turn(diagnosis_question(self.told_site, self.rng), answer)

    def _from_description(self) -> Turn:
        return self._diagnose(self._doubtful_diagnosis(), ())

    def _with_cases(self) -> Turn:
        """Similar cases as they are found in use.

        By the description, whatever it describes; or by the picture, as often right as such a search was measured to be.
        """
        described = self._doubtful_diagnosis()
        if described and self.rng.random() < 0.4:
            wanted = [described] * int(self.rng.integers(1, 6))
        elif self.diagnosis in self.retrieved:
            wanted = self._found_by_picture(int(self.rng.integers(1, 6)))
        else:
            wanted = [self.diagnosis if fits else self._other_diagnosis() for fits in self._plan()]
        return self._diagnose(described, [self._case(diagnosis) for diagnosis in wanted])

    def _diagnose(self, described: str | None, neighbours: Sequence[Evidence]) -> Turn:
        description = (
            descriptions.describe(described, self.measured, self.rng)
            if described
            else descriptions.describe_attributes(self.measured, self.rng)
        )
        question = questions.diagnose_question(self.told_site, description, neighbours, self._question())
        return Turn(
            question,
            questions.diagnosis_answer(self.diagnosis, descriptions.rationale(self.diagnosis, self.rng)),
        )

    def _doubtful_diagnosis(self) -> str | None:
        """What the description is of: the truth, nothing (no facts), or another entity.

        At run time the description is the model's own and may be wrong.
        """
        right, bare, _ = self.descriptions
        draw = self.rng.random()
        if draw < right:
            return self.diagnosis
        return None if draw < right + bare else self._other_diagnosis()

    def _found_by_picture(self, count: int) -> list[str]:
        """Diagnoses of the cases that such a picture finds: one real search, of those that were made for its diagnosis."""
        searches = self.retrieved[self.diagnosis]
        found = searches[int(self.rng.integers(len(searches)))]
        return [found[int(self.rng.integers(len(found)))] for _ in range(count)]

    def _plan(self) -> list[bool]:
        """Which of one to five neighbours fit: all, some or none."""
        count = int(self.rng.integers(1, 6))
        share = float(self.rng.choice([1.0, 0.5, 0.0], p=[0.35, 0.35, 0.30]))
        return [bool(self.rng.random() < share) for _ in range(count)]

    def _case(self, wanted: str) -> Evidence:
        """A case of the wanted diagnosis, in a knowledge base's words or in nano's; now and then of something else."""
        if wanted != self.diagnosis and self.rng.random() < 0.2:
            worded = [case for case in self.cases if case.diagnosis != self.diagnosis]
        else:
            worded = [case for case in self.cases if case.diagnosis == wanted]
        if worded and self.rng.random() < 0.6:
            return worded[int(self.rng.integers(len(worded)))]
        return Evidence(wanted, descriptions.describe(wanted, self._other_measures(), self.rng))

    def _other_diagnosis(self) -> str:
        """Mostly a rival of the same site."""
        table = corpus.diagnoses_by_site()
        rivals = [d for d in table.get(self.site, ()) if d != self.diagnosis]
        if rivals and self.rng.random() < 0.8:
            return rivals[int(self.rng.integers(len(rivals)))]
        every = [d for diagnoses in table.values() for d in diagnoses if d != self.diagnosis]
        return every[int(self.rng.integers(len(every)))]

    def _other_measures(self) -> Attributes:
        values = self.measured.as_array() * self.rng.uniform(0.5, 1.6, len(attributes.NAMES))
        return Attributes(*(float(v) for v in values))
