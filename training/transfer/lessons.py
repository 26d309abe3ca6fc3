"""Training data of nano's transfer: what is known about the tiles, as conversations in the LLaVA format.

Below ``out`` there is one file of conversations for each stage, and a folder of the same name with its pictures:

    words.json      no picture; what a decoder knows before it sees pictures: descriptions and their diagnoses
    captions.json   an image and its description
    images.json     an image
    clips.json      a clip of two to four frames
    videos.json     a clip of eight frames

Images are JPEG files, clips are folders of JPEG frames. All are of the training side. The same data, size and seed give
the same files.
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
from videopath.training.recipe import STARTER
from videopath.training.scratch import descriptions
from videopath.training.scratch.examples import Example, ExampleMaker, ExampleMixture
from videopath.training.scratch.loaded_corpus import LoadedCorpus
from videopath.training.scratch.question_answers import DescriptionShares, QuestionAnswer

_QUALITY = 92
_TYPICAL = "What are the typical histological findings of {}?"
_KINDS = {"clip": 0.84, "atlas tile": 0.06, "synthetic": 0.10}
_MOSTLY_WRONG: DescriptionShares = (0.35, 0.2, 0.45)  # the picture has to decide
_CORRECT: DescriptionShares = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Lesson:
    """The conversations of one stage."""

    name: str
    examples: int
    frames: tuple[int, ...]
    """Possible numbers of frames of an example; empty: no picture."""
    descriptions: DescriptionShares = _MOSTLY_WRONG


LESSONS = (
    Lesson("words", 4000, (), _CORRECT),
    Lesson("captions", 4000, (1,)),
    Lesson("images", 8000, (1,)),
    Lesson("clips", 3000, (2, 3, 4)),
    Lesson("videos", 1500, (8,)),
)


def write_lessons(
    data: Path, out: Path, *, size: int = 112, seed: int = 0, share: float = 1.0, workers: int = 0
) -> Iterator[Lesson]:
    """Write the conversations of all stages.

    Args:
        data: The folder with ``manifest.csv`` and its tiles.
        out: A folder that is empty or missing.
        size: Width and height of the pictures in pixels.
        seed: Another seed gives other examples.
        share: Share of the usual number of examples.
        workers: Processes that make examples; 0: this process.

    Yields:
        The lesson, after each of its examples.

    Raises:
        InputError: ``out`` is not empty, or the data cannot be read.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; give a new folder.")
    source = LoadedCorpus.read(data, "train", STARTER)
    for number, lesson in enumerate(LESSONS):
        examples = _Examples(source, lesson, out, size, seed + number, max(1, round(lesson.examples * share)))
        conversations: list[dict[str, Any]] = []
        for of_example in DataLoader(examples, batch_size=None, num_workers=workers, collate_fn=list):
            conversations += of_example
            yield lesson
        write_text(
            out / f"{lesson.name}.json", json.dumps(conversations, indent=1, ensure_ascii=False) + "\n"
        )


def count_examples(share: float) -> int:
    """Return how many examples :func:`write_lessons` makes."""
    return sum(max(1, round(lesson.examples * share)) for lesson in LESSONS)


class _Examples(Dataset[list[dict[str, Any]]]):
    """Writes the pictures of an example, and gives its conversations."""

    def __init__(
        self, source: LoadedCorpus, lesson: Lesson, out: Path, size: int, seed: int, examples: int
    ) -> None:
        mixture = ExampleMixture(_KINDS, lesson.frames or (1,))
        self._maker = ExampleMaker(source, size, seed, lesson.descriptions, mixture=mixture)
        self._cases, self._lesson, self._out = source.cases, lesson, out
        self._seed, self._examples = seed, examples

    def __len__(self) -> int:
        return self._examples

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        example = self._maker.make(index)
        media = self._write_media(example, index)
        return [
            {
                "id": f"{self._lesson.name}-{index:05}-{number}",
                **media,
                "conversations": _conversation(item, bool(media)),
            }
            for number, item in enumerate(self._questions(example, index))
        ]

    def _questions(self, example: Example, index: int) -> Sequence[QuestionAnswer]:
        """Questions about an example; each becomes a conversation of its own."""
        rng = np.random.default_rng((self._seed, index, 1))
        if self._lesson.name == "captions":
            return [QuestionAnswer("", descriptions.describe(example.diagnosis, example.measured, rng))]
        if self._lesson.name == "words":
            case = self._cases[int(rng.integers(len(self._cases)))]
            findings = descriptions.describe(example.diagnosis, example.measured, rng)
            return [
                example.questions[-1],  # the diagnosis from a description and similar cases
                QuestionAnswer(_TYPICAL.format(example.diagnosis), findings),
                QuestionAnswer(_TYPICAL.format(case.diagnosis), case.description),
            ]
        return example.questions

    def _write_media(self, example: Example, index: int) -> dict[str, str]:
        """Write the pictures; return the field of a conversation that names them, or no field without pictures."""
        if not self._lesson.frames:
            return {}
        name = f"{self._lesson.name}/{index:05}"
        if self._lesson.frames == (1,):
            _write_picture(example.frames[0], self._out / f"{name}.jpg")
            return {"image": f"{name}.jpg"}
        for number, frame in enumerate(example.frames):
            _write_picture(frame, self._out / name / f"{number}.jpg")
        return {"video": name}


def _conversation(item: QuestionAnswer, has_media: bool) -> list[dict[str, str]]:
    question = f"{IMAGE_TAG}\n{item.question}".strip() if has_media else item.question
    return [{"from": "human", "value": question}, {"from": "gpt", "value": item.answer}]


def _write_picture(frame: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame).save(path, quality=_QUALITY)
