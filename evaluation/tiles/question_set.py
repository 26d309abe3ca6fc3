"""Held-out tiles as a test set of questions, over the same clips as :mod:`videopath.evaluation.tiles.clips`.

OUT/questions.jsonl      id, question, answer, video_name, site, diagnosis, group and the measured attributes
OUT/clips/<tile>/*.png   eight frames each
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from videopath.evaluation.tiles.clips import FRAMES, write_clip
from videopath.media.clip import open_clip
from videopath.media.quality.attributes import SCALES, measure
from videopath.model.prompts.questions import one_prompt_answer, one_prompt_question
from videopath.training.data.corpus import Sample
from videopath.training.scratch import descriptions

QUESTIONS = "questions.jsonl"
CLIPS = "clips"


def write_questions(samples: Iterable[Sample], out: Path) -> Iterator[dict[str, object]]:
    """Write each sample's clip and yield its question. A clip that a stopped run left is written again."""
    for sample in samples:
        leftover = out / CLIPS / sample.path.stem
        if leftover.exists():
            shutil.rmtree(leftover)
        clip = write_clip(sample, out / CLIPS)
        measured = measure(open_clip(clip, FRAMES, writing="keep").frames)
        described = descriptions.describe(sample.diagnosis, measured, _generator(sample.path.name))
        yield {
            "id": f"{sample.label}/{sample.path.stem}",
            "question": one_prompt_question(sample.site),
            "answer": one_prompt_answer(described, sample.diagnosis),
            "video_name": f"{CLIPS}/{clip.name}",
            "site": sample.site,
            "diagnosis": sample.diagnosis,
            "group": sample.group,
            "attributes": {
                scale.attribute: scale.words[scale.level(getattr(measured, scale.attribute))][0]
                for scale in SCALES
            },
        }


def to_lines(questions: Iterable[dict[str, object]]) -> str:
    """Return the questions as JSON lines."""
    return "".join(json.dumps(question, ensure_ascii=False) + "\n" for question in questions)


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
