"""Held-out tiles as a test set of our own format: the same clips as :mod:`videopath.evaluation.tiles.clips`, asked by question.

OUT/questions.jsonl      id, question, answer, video_name, site, diagnosis, group and the attributes as they are measured
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


def written_questions(samples: Iterable[Sample], out: Path) -> Iterator[dict[str, object]]:
    """Write each sample's clip and yield its question; what a stopped run left of a clip is written anew."""
    for sample in samples:
        left = out / CLIPS / sample.path.stem
        if left.exists():
            shutil.rmtree(left)
        clip = write_clip(sample, out / CLIPS)
        measured = measure(open_clip(clip, FRAMES).frames)
        described = descriptions.describe(sample.diagnosis, measured, _drawn(sample.path.name))
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
    """The questions as a set's file holds them."""
    return "".join(json.dumps(question, ensure_ascii=False) + "\n" for question in questions)


def _drawn(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
