"""The split into training, validation and test by whole recordings.

A recording's side follows from a hash of its id and the seed alone, so it stays when other recordings are added. A
group split of scikit-learn would draw anew each time, and would move recordings that a model was trained on to the test
side. Recordings that share a picture are one group. A group goes where its member with the smallest number would go, and
the smallest numbers are the test side: so a new duplicate can move a recording to the test side, and never away from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from videopath.core.choices import SPLIT_SIDES, SplitSide
from videopath.core.errors import InputError
from videopath.dataset.options import SetOptions

_DIGITS = 13  # hex digits of a hash that fit a float exactly


@dataclass(frozen=True)
class Split:
    """Which side each recording is on."""

    sides: dict[str, SplitSide]
    """Id of a recording → its side."""
    groups: dict[str, str]
    """Id of a recording → the name of its group, which is the first id of the group."""
    notes: tuple[str, ...] = ()
    """Sentences about sides that are empty."""


def split_recordings(ids: Sequence[str], shared: Iterable[tuple[str, str]], options: SetOptions) -> Split:
    """Put each recording on a side.

    Args:
        ids: The recordings.
        shared: Pairs of recordings that share a picture and must stay together.
        options: Seed and shares.

    Raises:
        InputError: The shares leave nothing for training.
    """
    if options.test_share + options.validation_share >= 1:
        raise InputError(
            f"A test share of {options.test_share:g} and a validation share of {options.validation_share:g} leave "
            "nothing for training; they must add up to less than 1."
        )
    groups = _groups(ids, shared)
    numbers: dict[str, float] = {}
    for recording in ids:
        group, number = groups[recording], _number(recording, options.seed)
        numbers[group] = min(number, numbers.get(group, 1.0))
    sides = {group: _side(number, options) for group, number in numbers.items()}
    notes = []
    if sides and "train" not in sides.values():
        last = max(numbers, key=lambda group: (numbers[group], group))
        sides[last] = "train"
        notes.append(
            f"By the rule no recording was on the training side, so the group of {last} was put there. "
            "It goes back when recordings are added."
        )
    notes += _notes(set(sides.values()), len(numbers), options)
    return Split({recording: sides[groups[recording]] for recording in ids}, groups, tuple(notes))


def _number(recording: str, seed: int) -> float:
    """Return a number in [0, 1) that follows from a recording's id and the seed."""
    digest = hashlib.sha256(f"{seed}:{recording}".encode()).hexdigest()
    return int(digest[:_DIGITS], 16) / 16**_DIGITS


def _side(number: float, options: SetOptions) -> SplitSide:
    if number < options.test_share:
        return "test"
    return "validation" if number < options.test_share + options.validation_share else "train"


def _groups(ids: Sequence[str], shared: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return each recording's group: what is joined directly or through others."""
    parent = {recording: recording for recording in ids}

    def top(recording: str) -> str:
        while parent[recording] != recording:
            recording = parent[recording]
        return recording

    for one, other in shared:
        first, second = sorted((top(one), top(other)))
        parent[second] = first
    return {recording: top(recording) for recording in ids}


def _notes(used: set[SplitSide], groups: int, options: SetOptions) -> list[str]:
    wanted = {"train": 1.0, "validation": options.validation_share, "test": options.test_share}
    empty = [side for side in SPLIT_SIDES if side not in used and wanted[side] > 0]
    if not groups or not empty:
        return []
    count = "one recording" if groups == 1 else f"{groups} recordings that share no picture"
    return [
        f"Nothing is on the side {' or '.join(empty)}: the set has {count}, and a recording is never divided. "
        "Add recordings, or measure on other data."
    ]
