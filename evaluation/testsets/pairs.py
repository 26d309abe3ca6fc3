"""Near-identical cases of different diagnoses: a system must be right about both.

Two cases are a pair if each is the other's most similar case among those of another group and another diagnosis at its site.
Similarity is the cosine of the clips' vectors by the model's own vision tower. Nothing new is asked: the answers to the set are
read in pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.core.choices import SystemName
from videopath.core.errors import InputError
from videopath.core.files import write_text
from videopath.core.pathology.entities import comparable_name
from videopath.evaluation.stats.estimates import Share
from videopath.evaluation.testsets.answers import Answer
from videopath.evaluation.testsets.controls import rivals, same_answer
from videopath.evaluation.testsets.sets import Item
from videopath.evaluation.testsets.summary import Pair, PairsReport
from videopath.knowledge.index.encoders import FrameEncoder
from videopath.media.clip import open_clip
from videopath.tools.frame_encoders.picture_vectors import clip_vector


class KeptPairs(BaseModel):
    """The pairs of a set, stored beside the answers because reading all videos takes long."""

    model_config = ConfigDict(frozen=True)

    set_sha256: str
    encoder_sha256: str
    pairs: list[Pair]


def see_videos(
    items: Sequence[Item], encoder: FrameEncoder, frames: int
) -> Iterator[tuple[Path, np.ndarray | None]]:
    """Return each video once with its unit vector, or None if the video cannot be read."""
    for video in dict.fromkeys(item.video for item in items):
        try:
            clip = open_clip(video, frames, writing="keep")
        except InputError:  # its question has an answer with this error
            yield video, None
            continue
        yield video, clip_vector(encoder.encode(clip.frames))


def nearest_pairs(items: Sequence[Item], vectors: Mapping[Path, np.ndarray | None]) -> list[Pair]:
    """Return the pairs, most similar first; empty if no two items can be compared."""
    known = [(item, vector) for item in items if (vector := vectors.get(item.video)) is not None]
    if not known:
        return []
    of = [item for item, _ in known]
    matrix = np.stack([vector for _, vector in known])
    alike = np.where(rivals(of), matrix @ matrix.T, -np.inf)
    nearest = alike.argmax(axis=1)
    pairs = [
        _pair(of[one], of[other], float(alike[one, other]))
        for one, other in enumerate(nearest.tolist())
        if one < other and nearest[other] == one and np.isfinite(alike[one, other])
    ]
    return sorted(pairs, key=lambda pair: -pair.similarity)


def pairs_report(
    system: SystemName, pairs: Sequence[Pair], answers: Sequence[Answer], items: Sequence[Item]
) -> PairsReport:
    """Count the pairs that a system gets right.

    Raises:
        InputError: There is no pair.
    """
    from scipy.stats import binomtest

    if not pairs:
        raise InputError(
            "No two cases of the set make a pair. Pairs need cases of two diagnoses at one site."
        )
    by_id = {answer.id: answer for answer in answers}
    both = [(by_id[pair.first], by_id[pair.second]) for pair in pairs]
    right = [one.right and other.right for one, other in both]
    guessed = _guessed(items)
    chance = float(np.mean([guessed[pair.first] * guessed[pair.second] for pair in pairs]))
    return PairsReport(
        system=system,
        pairs=len(pairs),
        both_right=Share.of(right),
        chance=chance,
        p=float(binomtest(sum(right), len(right), chance, alternative="greater").pvalue),
        same_answer=Share.of([same_answer(one, other) for one, other in both]),
    )


def read_pairs(path: Path, set_sha256: str, encoder_sha256: str) -> list[Pair] | None:
    """Read the stored pairs of this set for this encoder; None if there is no such file."""
    try:
        stored = KeptPairs.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    same = (stored.set_sha256, stored.encoder_sha256) == (set_sha256, encoder_sha256)
    return stored.pairs if same else None


def write_pairs(path: Path, set_sha256: str, encoder_sha256: str, pairs: Sequence[Pair]) -> None:
    """Store the pairs of a set."""
    stored = KeptPairs(set_sha256=set_sha256, encoder_sha256=encoder_sha256, pairs=list(pairs))
    write_text(path, stored.model_dump_json(indent=1) + "\n")


def _guessed(items: Sequence[Item]) -> dict[str, float]:
    """Return, for each question, the chance that a random diagnosis, drawn as often as the set has it at that site, is right."""
    truths = [(item.id, item.site, comparable_name(item.diagnosis)) for item in items if item.diagnosis]
    return {
        name: sum((site, truth) == (other_site, other) for _, other_site, other in truths)
        / sum(site == other_site for _, other_site, _ in truths)
        for name, site, truth in truths
    }


def _pair(one: Item, other: Item, similarity: float) -> Pair:
    return Pair(
        first=one.id,
        second=other.id,
        first_diagnosis=one.diagnosis or "",
        second_diagnosis=other.diagnosis or "",
        similarity=similarity,
    )
