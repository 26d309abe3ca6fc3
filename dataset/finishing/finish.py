"""The last stage of a build: from the results of all recordings to the finished set."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from videopath.core.choices import SPLIT_SIDES, SplitSide
from videopath.core.files import write_text
from videopath.dataset.finishing.card import write_card
from videopath.dataset.finishing.checks import Checked, check
from videopath.dataset.finishing.croissant import croissant_note, write_croissant
from videopath.dataset.finishing.exports import (
    Entry,
    entries_of,
    on_side,
    write_exports,
    write_recipe,
)
from videopath.dataset.finishing.material import Material, read_material
from videopath.dataset.finishing.saved_dataset import write_saved_dataset
from videopath.dataset.finishing.split import Split, split_recordings
from videopath.dataset.options import SetOptions
from videopath.dataset.records import StageRecord
from videopath.dataset.set_folder import SetFolder

CHECKS = "checks.json"


class SetSummary(StageRecord):
    """What a finished set has, and what was left out of it."""

    sentence: str
    pairs: int
    by_side: dict[SplitSide, int] = Field(description="pairs on each side")
    recordings: int = Field(description="recordings with at least one pair in the set")
    clips: int = Field(description="clips with at least one pair in the set")
    seconds: float = Field(description="seconds of recordings that these clips show")
    drafts: int = Field(description="pairs that wait for a person")
    dropped: int = Field(description="pairs that were rated too low twice or could not be used")
    left_out: dict[str, int] = Field(description="pairs that the check left out, by the first reason")
    noted: dict[str, int] = Field(description="findings about what is in the set, by kind")
    notes: tuple[str, ...] = Field((), description="sentences on the split and on the metadata")
    files: tuple[str, ...] = Field((), description="what was written, relative to the set's folder")


def finish_set(folder: SetFolder, options: SetOptions) -> SetSummary:
    """Check, split, describe and export a set.

    The same results and options give the same bytes. Each file is replaced as a whole.

    Args:
        folder: The set's folder with the results of the stages before.
        options: Name, licence, seed and shares.

    Raises:
        InputError: A result is damaged, or the shares leave nothing for training.
    """
    material = read_material(folder)
    checked = check(material, folder)
    shared = [pair.recordings for pair in checked.duplicates if pair.recordings[0] != pair.recordings[1]]
    split = split_recordings([recording.id for recording in material.recordings], shared, options)
    entries = entries_of(checked.pairs, split, options)
    files = [
        *write_exports(folder, entries),
        *write_recipe(folder, entries),
        *write_saved_dataset(folder.path, entries),
        *write_croissant(folder, checked.pairs, entries, options),
        *write_card(folder, material, checked, split, entries, options),
        CHECKS,
    ]
    summary = _summary(material, checked, split, entries, files, (*split.notes, croissant_note(folder)))
    write_text(folder.path / CHECKS, json.dumps(_checks(checked, split), indent=1, ensure_ascii=False) + "\n")
    return summary


def _summary(
    material: Material,
    checked: Checked,
    split: Split,
    entries: list[Entry],
    files: list[str],
    notes: tuple[str, ...],
) -> SetSummary:
    by_side: dict[SplitSide, int] = {side: len(on_side(entries, side)) for side in SPLIT_SIDES}
    clips = {(pair.recording.id, pair.clip.id): pair.clip for pair in checked.pairs}
    return SetSummary(
        sentence=_sentence(material, checked, by_side),
        pairs=len(entries),
        by_side=by_side,
        recordings=len({pair.recording.id for pair in checked.pairs}),
        clips=len(clips),
        seconds=round(sum(clip.end - clip.start for clip in clips.values()), 3),
        drafts=material.drafts,
        dropped=sum(len(result.dropped) for result in material.results),
        left_out=checked.left_out,
        noted=checked.noted,
        notes=notes,
        files=tuple(files),
    )


def _sentence(material: Material, checked: Checked, by_side: dict[SplitSide, int]) -> str:
    total = sum(by_side.values())
    left_out = sum(checked.left_out.values())
    parts = [f"{total:,} pairs: " + ", ".join(f"{side} {count:,}" for side, count in by_side.items())]
    if not total:
        parts = ["The set has no finished pair"]
    if left_out:
        parts.append(f"{left_out:,} left out ({', '.join(checked.left_out)})")
    if material.drafts:
        parts.append(f"{material.drafts:,} drafts wait for a person")
    return "; ".join(parts) + "."


def _checks(checked: Checked, split: Split) -> dict[str, Any]:
    return {
        "language": checked.language,
        "left_out": checked.left_out,
        "noted": checked.noted,
        "split": {"sides": split.sides, "groups": split.groups, "notes": split.notes},
        "findings": [finding.model_dump(mode="json") for finding in checked.findings],
    }
