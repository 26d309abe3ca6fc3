"""Write a user's test set as a task of the harness, into a folder for its ``--include_path``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from videopath.app.lmms_eval import TASKS
from videopath.core.files import write_text
from videopath.evaluation.testsets.sets import Item, read_items

_QUESTIONS = "questions.jsonl"


def write_tasks(questions: Path, media: Path, out: Path) -> str:
    """Write the shipped tasks and a task for a test set into a folder; return the name of the new task.

    Args:
        questions: The test set, as ``videopath evaluate SET`` reads it.
        media: Folder of its videos.
        out: The folder to write.

    Raises:
        InputError: For the first wrong question.
    """
    items = read_items(questions, media)
    for shipped in TASKS.iterdir():
        write_text(out / shipped.name, shipped.read_text(encoding="utf-8"))
    write_text(
        out / _QUESTIONS, "".join(json.dumps(_entry(item), ensure_ascii=False) + "\n" for item in items)
    )
    name = "videopath_" + re.sub(r"\W+", "_", questions.stem.casefold())
    task = {
        "task": name,
        "include": "_videopath_set_template_yaml",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": _QUESTIONS}},
    }
    write_text(out / f"{name}.yaml", yaml.safe_dump(task, sort_keys=False))
    return name


def _entry(item: Item) -> dict[str, str | None]:
    return {
        "id": item.id,
        "video": str(item.video.absolute()),
        "question": item.question,
        "answer": item.reference,
        "site": item.site,
        "diagnosis": item.diagnosis,
        "group": item.group,
        "attributes": json.dumps(item.attributes, ensure_ascii=False),  # not all questions have the same
    }
