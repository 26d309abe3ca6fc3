"""What the tasks of this package do with a question and its answer; the YAML files in ``tasks`` name these functions."""

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
_ONE_AT_A_TIME = threading.Lock()  # the harness measures in several threads; a tokenizer serves one


def checked(questions: Any) -> Any:
    """The set as it is. Raises ``InputError`` where a column is missing: before any question is asked."""
    missing = {"question", "answer"} - set(questions.column_names)
    if missing:
        raise InputError(
            f"The set lacks {' and '.join(sorted(missing))}; it has {', '.join(questions.column_names)}."
        )
    return questions


def video(doc: Mapping[str, Any]) -> list[str]:
    """The video of a question of a set of one's own, as ``write_tasks`` names it."""
    return [doc["video"]]


def published_video(doc: Mapping[str, Any]) -> list[str]:
    """The video of a question of the published set. Raises ``InputError`` where it is not there."""
    media = Path(os.environ.get("HF_HOME", _CACHE)).expanduser() / _PUBLISHED
    found = find_video(media, doc["video_name"])
    if found is None:
        raise InputError(
            f"The video {doc['video_name']} is not in {media}: let the harness download the set again, or put it there."
        )
    return [str(found)]


def measure(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One answer's values in [0, 1] that need no judge, as ``videopath evaluate`` measures them; 0 for an empty answer.

    ``answered`` is 1 for any other. Each comes with its group (the video where the set names none), which the harness's intervals
    take as a whole.
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
    """A question as ``videopath evaluate`` knows it; what only our sets name is empty of others."""
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
    """Mean of what ``measure`` gave."""
    return sum(value["score"] for value in values) / len(values)


@cache
def _embedder() -> Embedder:
    from videopath.knowledge.index.embedder import Embedder

    return Embedder()
