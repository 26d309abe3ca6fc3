"""Functions of the tasks for questions and answers; the YAML files in ``tasks`` name them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.core.errors import InputError
from videopath.core.pathology.answers import parse_answer
from videopath.evaluation.testsets.answers import unanswered
from videopath.evaluation.testsets.sets import Item, find_video
from videopath.evaluation.testsets.table import attribute_agreement, measured

if TYPE_CHECKING:
    from videopath.knowledge.index.embedder import Embedder

_PUBLISHED = "VidDiag_Instruct_Test/Test_Videos"  # below HF_HOME, where the harness unpacks the published set
_CACHE = "~/.cache/huggingface"
_ONE_AT_A_TIME = threading.Lock()  # the harness measures in several threads, but a tokenizer allows only one


def checked(questions: Any) -> Any:
    """Return the set unchanged. Raises ``InputError`` before any question is asked if a column is missing."""
    missing = {"question", "answer"} - set(questions.column_names)
    if missing:
        raise InputError(
            f"The set lacks the columns {' and '.join(sorted(missing))}; it has {', '.join(questions.column_names)}."
        )
    return questions


def video(doc: Mapping[str, Any]) -> list[str]:
    """Return the video of a question of a user's set, as ``write_tasks`` wrote it."""
    return [doc["video"]]


def published_video(doc: Mapping[str, Any]) -> list[str]:
    """Return the video of a question of the published set. Raises ``InputError`` if it is missing."""
    media = Path(os.environ.get("HF_HOME", _CACHE)).expanduser() / _PUBLISHED
    path = find_video(media, doc["video_name"])
    if path is None:
        raise InputError(
            f"The video {doc['video_name']} is not in {media}. Let the harness download the set again, or copy it there."
        )
    return [str(path)]


def measure(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Measure one answer without a judge, as ``videopath evaluate`` does.

    Args:
        doc: The question.
        results: The answer, as the only element.

    Returns:
        For each metric the score in [0, 1] and the group of the question (its video if the set names no group); the
        harness's intervals draw whole groups. ``answered`` is 1 unless the answer is empty; an empty answer scores 0.
    """
    (text,) = results
    item = item_of(doc, Path(doc.get("video") or doc["video_name"]), doc["question"])
    parts = parse_answer(text)
    answer = unanswered(item).model_copy(
        update={
            "text": text,
            "description": parts.description,
            "diagnosis": parts.diagnosis,
            "attributes": json.loads(doc.get("attributes") or "{}"),
        }
    )
    with _ONE_AT_A_TIME:
        values = {"answered": float(bool(text)), **measured([answer], _embedder().encode)[item.id]}
    agreed = attribute_agreement(answer).values()
    if agreed:
        values["attributes"] = sum(agreed) / len(agreed)
    return {metric: {"score": value, "group": item.cluster} for metric, value in values.items()}


def item_of(doc: Mapping[str, Any], video: Path, question: str) -> Item:
    """Return a question as ``videopath evaluate`` reads it; fields that the set does not have are empty."""
    return Item(
        id=str(doc.get("id") or ""),
        video=video,
        question=question,
        reference=str(doc.get("answer") or ""),
        site=doc.get("site") or None,
        diagnosis=doc.get("diagnosis") or None,
        group=str(doc.get("group") or ""),
    )


def average(values: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean of the scores of ``measure``."""
    return sum(value["score"] for value in values) / len(values)


@cache
def _embedder() -> Embedder:
    from videopath.knowledge.index.embedder import Embedder

    return Embedder()
