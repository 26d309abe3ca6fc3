"""Clips that show the same picture, by the fingerprints of their frames, also turned and mirrored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videopath.core.errors import InputError
from videopath.dataset.records import Recording, RefinedClip
from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES, NEAR_BITS, distances, turns_of


@dataclass(frozen=True)
class NearDuplicate:
    """Two clips of different cases that share a picture."""

    one: RefinedClip
    other: RefinedClip
    recordings: tuple[str, str]
    """Their recordings; equal if both are of one recording."""
    bits: int
    """How many of 256 bits differ between their nearest frames."""
    share: float
    """Share of the frames of the first clip that the other one shows, in (0, 1]."""


def near_duplicates(clips: Sequence[tuple[Recording, RefinedClip]]) -> list[NearDuplicate]:
    """Return all pairs of clips that share a nearly identical frame.

    Clips of the same case are no duplicates: a keyframe clip is a part of its case video.

    Args:
        clips: The clips, each with its recording.

    Raises:
        InputError: A fingerprint in a record is not one.
    """
    prints = [_prints(clip) for _, clip in clips]
    owners = np.repeat(np.arange(len(clips)), [len(one) for one in prints])
    known = np.concatenate([np.zeros((0, FINGERPRINT_BYTES), np.uint8), *prints])
    return [pair for number in range(len(clips)) for pair in _later(number, clips, prints, known, owners)]


def _later(
    number: int,
    clips: Sequence[tuple[Recording, RefinedClip]],
    prints: Sequence[np.ndarray],
    known: np.ndarray,
    owners: np.ndarray,
) -> Iterator[NearDuplicate]:
    """Yield the duplicates of a clip among the clips after it."""
    recording, clip = clips[number]
    after = int(np.searchsorted(owners, number, side="right"))
    if not len(prints[number]) or after == len(known):
        return
    nearest = distances(turns_of(prints[number]), known[after:])  # of each later frame to this clip
    for other in np.unique(owners[after:][nearest <= NEAR_BITS]).tolist():
        other_recording, other_clip = clips[other]
        if other_recording.id == recording.id and other_clip.case == clip.case:
            continue
        back = distances(turns_of(prints[other]), prints[number])
        yield NearDuplicate(
            clip,
            other_clip,
            (recording.id, other_recording.id),
            int(nearest[owners[after:] == other].min()),
            max(float(np.mean(back <= NEAR_BITS)), 1 / len(back)),
        )


def _prints(clip: RefinedClip) -> np.ndarray:
    """Return a clip's fingerprints, uint8 [m, FINGERPRINT_BYTES]."""
    try:
        rows = [np.frombuffer(bytes.fromhex(one), np.uint8) for one in clip.fingerprints]
        return np.array(rows, np.uint8).reshape(len(rows), FINGERPRINT_BYTES)
    except ValueError as error:
        raise InputError(
            f"A fingerprint of the clip {clip.id} is damaged: run `videopath dataset build … --from clips`."
        ) from error
