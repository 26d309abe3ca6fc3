"""Instruction data of nano's transfer: what is known of the tiles, written as conversations in the LLaVA format.

Below ``out``, a file of conversations for each stage and, in a folder of the same name, what they show:

    words.json      nothing: what a decoder knows before it sees (descriptions, and what they speak for)
    captions.json   an image and its description
    images.json     an image
    clips.json      a clip of two to four frames
    videos.json     a clip of eight frames

Images are JPEG, clips folders of JPEG frames. All are of the training side; the same for the same data, size and seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from videopath.core.errors import InputError
from videopath.core.files import write_text
from videopath.model.prompts.template import IMAGE_TAG
from videopath.training.scratch import descriptions
from videopath.training.scratch.examples import Corpus, Example, ExampleMaker, Mixture, Shares, Turn

EVIDENCE = "videopath.knowledge:starter/records.jsonl"
_QUALITY = 92
_TYPICAL = "What are the typical histological findings of {}?"
_KINDS = {"clip": 0.84, "atlas tile": 0.06, "synthetic": 0.10}
_DOUBTFUL: Shares = (0.35, 0.2, 0.45)  # wrong as often as right: what is seen has to decide
_TRUE: Shares = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Lesson:
    """The conversations of one stage."""

    name: str
    examples: int
    frames: tuple[int, ...]
    """How many an example may have; empty: nothing is shown."""
    descriptions: Shares = _DOUBTFUL


LESSONS = (
    Lesson("words", 4000, (), _TRUE),
    Lesson("captions", 4000, (1,)),
    Lesson("images", 8000, (1,)),
    Lesson("clips", 3000, (2, 3, 4)),
    Lesson("videos", 1500, (8,)),
)


def write_lessons(
    data: Path, out: Path, *, size: int = 112, seed: int = 0, share: float = 1.0, workers: int = 0
) -> Iterator[Lesson]:
    """Write the conversations of all stages; a lesson comes each time an example of it is written.

    ``data`` holds ``manifest.csv`` and its tiles; pictures are ``size`` pixels wide and high; ``share`` of the usual number
    of examples is made, by ``workers`` processes (0: this one). Raises ``InputError`` where ``out`` holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; give a new folder.")
    source = Corpus.read(data, "train", EVIDENCE)
    for number, lesson in enumerate(LESSONS):
        written = _Examples(source, lesson, out, size, seed + number, max(1, round(lesson.examples * share)))
        found: list[dict[str, Any]] = []
        for conversations in DataLoader(written, batch_size=None, num_workers=workers, collate_fn=list):
            found += conversations
            yield lesson
        write_text(out / f"{lesson.name}.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def examples_of(share: float) -> int:
    """How many examples :func:`write_lessons` makes."""
    return sum(max(1, round(lesson.examples * share)) for lesson in LESSONS)


class _Examples(Dataset[list[dict[str, Any]]]):
    """Writes what example ``i`` shows, and gives its conversations."""

    def __init__(
        self, source: Corpus, lesson: Lesson, out: Path, size: int, seed: int, examples: int
    ) -> None:
        mixture = Mixture(_KINDS, lesson.frames or (1,))
        self._maker = ExampleMaker(source, size, seed, lesson.descriptions, mixture=mixture)
        self._cases, self._lesson, self._out = source.cases, lesson, out
        self._seed, self._examples = seed, examples

    def __len__(self) -> int:
        return self._examples

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        example = self._maker.make(index)
        shown = self._write(example, index)
        return [
            {
                "id": f"{self._lesson.name}-{index:05}-{number}",
                **shown,
                "conversations": _conversation(turn, bool(shown)),
            }
            for number, turn in enumerate(self._turns(example, index))
        ]

    def _turns(self, example: Example, index: int) -> Sequence[Turn]:
        """What is asked about an example, each a conversation of its own."""
        rng = np.random.default_rng((self._seed, index, 1))
        if self._lesson.name == "captions":
            return [Turn("", descriptions.describe(example.diagnosis, example.measured, rng))]
        if self._lesson.name == "words":
            case = self._cases[int(rng.integers(len(self._cases)))]
            findings = descriptions.describe(example.diagnosis, example.measured, rng)
            return [
                example.turns[-1],  # the diagnosis from a description and similar cases
                Turn(_TYPICAL.format(example.diagnosis), findings),
                Turn(_TYPICAL.format(case.diagnosis), case.description),
            ]
        return example.turns

    def _write(self, example: Example, index: int) -> dict[str, str]:
        """The field of a conversation that names what it shows; none for words alone."""
        if not self._lesson.frames:
            return {}
        name = f"{self._lesson.name}/{index:05}"
        if self._lesson.frames == (1,):
            _write_picture(example.frames[0], self._out / f"{name}.jpg")
            return {"image": f"{name}.jpg"}
        for number, frame in enumerate(example.frames):
            _write_picture(frame, self._out / name / f"{number}.jpg")
        return {"video": name}


def _conversation(turn: Turn, shows: bool) -> list[dict[str, str]]:
    asked = f"{IMAGE_TAG}\n{turn.question}".strip() if shows else turn.question
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": turn.answer}]


def _write_picture(frame: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame).save(path, quality=_QUALITY)
