"""The set's entries: LLaVA conversations whose further fields say where each comes from. As JSON and as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from videopath.core.choices import SPLIT_SIDES, SplitSide
from videopath.core.files import write_text
from videopath.dataset.finishing.material import Candidate
from videopath.dataset.finishing.split import Split
from videopath.dataset.options import SetOptions
from videopath.dataset.set_folder import SetFolder
from videopath.knowledge.records.sources import infer_site, known_site
from videopath.model.prompts.template import IMAGE_TAG

INSTRUCTIONS = "instructions.json"
BLIND_TEST = "test-blind.json"
"""The pairs of the test side whose answers rest on the picture alone."""
LINES = "instructions.jsonl"
RECIPE = "recipe.yaml"

Entry = dict[str, Any]

_RECIPE = """\
# A few steps from nano on this set, as a beginning: about a minute on two CPU cores. For another model, change start and
# the numbers; see docs/how-to/train.md.
#   videopath train --recipe recipe.yaml --data . --out RUN      (in this folder)
kind: transfer
name: fine-tuned on this set
start: {checkpoint: nano}
dtype: float16
huggingface: false
stages:
  - name: videos
    data: train.json
    trains: [projector, decoder]
    frames: 6
    learning_rate: 5.0e-4
    batch: 4
    steps: 10
    gradient_checkpointing: false
    on_unreadable: stop
    workers: 0
"""


def entries_of(candidates: Sequence[Candidate], split: Split, options: SetOptions) -> list[Entry]:
    """Return the set's entries, in order. Each has the same fields.

    ``video`` is relative to the set's folder. ``source`` is the recording and ``group`` what must stay on one side of a
    split; the knowledge base excludes by both. ``recording_start`` and ``recording_end`` are seconds of the recording,
    not of the clip.
    """
    return [_entry(candidate, split, options) for candidate in candidates]


def on_side(entries: Sequence[Entry], side: SplitSide) -> list[Entry]:
    """Return the entries of one side."""
    return [entry for entry in entries if entry["split"] == side]


def write_exports(folder: SetFolder, entries: Sequence[Entry]) -> list[str]:
    """Write all entries and those of each side, and return the names of the files. An empty side is an empty list."""
    lists = {
        INSTRUCTIONS: list(entries),
        **{f"{side}.json": on_side(entries, side) for side in SPLIT_SIDES},
        BLIND_TEST: [entry for entry in on_side(entries, "test") if entry["blind"]],
    }
    for name, listed in lists.items():
        write_text(folder.path / name, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")
    write_text(
        folder.path / LINES, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    )
    return [*lists, LINES]


def write_recipe(folder: SetFolder, entries: Sequence[Entry]) -> list[str]:
    """Write a recipe that trains on this set, or remove it if there is nothing to train on."""
    file = folder.path / RECIPE
    if not on_side(entries, "train"):
        file.unlink(missing_ok=True)
        return []
    write_text(file, _RECIPE)
    return [RECIPE]


def _entry(candidate: Candidate, split: Split, options: SetOptions) -> Entry:
    recording, clip, pair = candidate.recording, candidate.clip, candidate.pair
    return {
        "id": pair.id,
        "video": clip.file,
        "conversations": [
            {"from": "human", "value": f"{IMAGE_TAG}\n{pair.question.strip()}"},
            {"from": "gpt", "value": candidate.answer},
        ],
        "source": recording.id,
        "group": split.groups[recording.id],
        "split": split.sides[recording.id],
        "site": _site(candidate),
        "diagnosis": candidate.diagnosis or None,
        "licence": options.licence,
        "about": pair.about,
        "blind": pair.blind,
        "given_away": list(pair.given_away),
        "reasoning": pair.reasoning,
        "origin": pair.origin,
        "model": pair.model,
        "quality": pair.quality,
        "rounds": pair.rounds,
        "clip": clip.id,
        "clip_sha256": clip.sha256,
        "product": clip.product,
        "case": clip.case,
        "recording_sha256": recording.sha256,
        "recording_start": clip.start,
        "recording_end": clip.end,
        "crop": list(clip.crop),
        "erased": len(clip.erased),
    }


def _site(candidate: Candidate) -> str | None:
    """Return the site that question, answer or title name, if they name one."""
    for text in (candidate.pair.question, candidate.answer):
        if site := infer_site(text):
            return site
    words = candidate.clip.title.replace(":", " ").replace(",", " ").split()
    phrases = [*words, *(" ".join(pair) for pair in pairwise(words))]
    named = {site for phrase in phrases if (site := known_site(phrase))}
    return named.pop() if len(named) == 1 else None
