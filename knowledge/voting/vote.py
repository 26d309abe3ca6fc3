"""The nearest cases vote: what a knowledge base itself says of a picture.

Pictures are compared by centred cosines: what all tissue has in common is taken away, so that nearness is likeness within
tissue. Each group (a patient, else a group, else a source) has one vote, that of its nearest picture, weighed by how near
it is to the nearest of all. The shares are smoothed over every diagnosis that could have been voted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import BaseModel

NEAREST = 10
"""Groups that vote, and places for which other tissue competes."""
SMOOTHING = 0.1
"""Votes that each diagnosis has before any group votes."""


@dataclass(frozen=True)
class Space:
    """How pictures are compared: the mean cosine over the encoders, each around its own centre."""

    centre: np.ndarray
    """float32 [dimension]: the mean of tissue of many kinds."""
    sizes: tuple[int, ...]
    """Numbers of each encoder in a joined vector; together the dimension."""

    @classmethod
    def around(cls, vectors: np.ndarray, sizes: Sequence[int] = ()) -> Self:
        """The space around the mean of vectors, float32 [pictures, dimension]; one encoder where no ``sizes`` are given."""
        return cls(np.asarray(vectors, np.float32).mean(axis=0), tuple(sizes) or (int(np.shape(vectors)[1]),))

    def placed(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors [n, dimension] so that their dot products are the centred cosines: float32 [n, dimension]."""
        moved = np.atleast_2d(np.asarray(vectors, np.float32)) - self.centre
        ends = np.cumsum(self.sizes)[:-1]
        blocks = [_unit(block) for block in np.split(moved, ends, axis=1)]
        return np.concatenate(blocks, axis=1) / np.float32(len(blocks) ** 0.5)


@dataclass(frozen=True)
class Voters:
    """Pictures that may vote, in one order."""

    vectors: np.ndarray
    """float32 [pictures, dimension], placed in a space."""
    ids: np.ndarray
    """str [pictures]: of their records."""
    groups: np.ndarray
    """str [pictures]"""
    diagnoses: np.ndarray
    """str [pictures]"""
    sites: np.ndarray
    """str [pictures]; empty where it is not known."""

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, places: np.ndarray) -> Self:
        """Some of them, by their numbers or by a mask."""
        return type(self)(
            self.vectors[places],
            self.ids[places],
            self.groups[places],
            self.diagnoses[places],
            self.sites[places],
        )


class Ballot(BaseModel, frozen=True):
    """The vote of one group."""

    id: str
    """Its nearest record."""
    group: str
    diagnosis: str
    similarity: float
    """Centred cosine, in [-1, 1]."""
    weight: float
    """1 for the nearest group of all, less for the others."""


class Vote(BaseModel, frozen=True):
    """What the nearest groups say."""

    ballots: list[Ballot]
    """The nearest first."""
    shares: dict[str, float]
    """Diagnosis → its share; together 1, the largest first."""
    site: str = ""
    """Of the cases that voted; empty where theirs is not known."""
    own: float = 1.0
    """Share of the nearest places that the knowledge base's pictures hold against tissue of other organs, in [0, 1]."""

    @property
    def leading(self) -> str:
        """The diagnosis with the largest share."""
        return next(iter(self.shares))

    @property
    def share(self) -> float:
        """Of the leading diagnosis."""
        return self.shares[self.leading]

    @property
    def margin(self) -> float:
        """How far the first is before the second; its share where there is no other."""
        first, second, *_ = *self.shares.values(), 0.0
        return first - second

    @property
    def nearness(self) -> float:
        """Similarity of the nearest case of all."""
        return self.ballots[0].similarity

    @property
    def deciding(self) -> list[str]:
        """The records without whose votes another diagnosis would lead: the nearest ones of the leading diagnosis.

        All of its voters where the others would not lead even then.
        """
        gone: list[str] = []
        for ballot in sorted(self.ballots, key=lambda ballot: -ballot.weight):
            if ballot.diagnosis == self.leading:
                gone.append(ballot.id)
                if self.without(gone).leading != self.leading:
                    break
        return gone

    def without(self, ids: Iterable[str]) -> Vote:
        """What it would be had these records not voted; their groups do not vote by another record."""
        gone = set(ids)
        rest = [ballot for ballot in self.ballots if ballot.id not in gone]
        return Vote(ballots=rest, shares=shares_of(rest, self.shares), site=self.site, own=self.own)


def ballots_of(similarities: np.ndarray, voters: Voters, temperature: float) -> list[Ballot]:
    """The votes of the nearest groups, by the similarities of a question to all voters, float32 [pictures], at least one.

    ``temperature``: the difference of similarity that makes a vote e times lighter.
    """
    _, codes = np.unique(voters.groups, return_inverse=True)
    nearest = nearest_groups(similarities, codes)
    top = float(similarities[nearest[0]])
    return [
        Ballot(
            id=str(voters.ids[place]),
            group=str(voters.groups[place]),
            diagnosis=str(voters.diagnoses[place]),
            similarity=float(np.clip(similarities[place], -1, 1)),
            weight=float(np.exp((similarities[place] - top) / temperature)),
        )
        for place in nearest
    ]


def nearest_groups(similarities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The place of the nearest picture of each of the nearest groups, the nearest first; those of -inf do not vote.

    ``similarities``: float [pictures]; ``groups``: int [pictures].
    """
    for depth in (16 * NEAREST, len(similarities)):  # nearly always the first is enough
        near = (
            np.argpartition(-similarities, depth)[:depth]
            if depth < len(similarities)
            else np.arange(len(similarities))
        )
        near = near[np.isfinite(similarities[near])]
        order = near[np.lexsort((near, -similarities[near]))]
        _, first = np.unique(groups[order], return_index=True)
        if len(first) >= NEAREST:
            break
    return order[np.sort(first)[:NEAREST]]


def own_share(own: np.ndarray, foreign: np.ndarray) -> float:
    """The share of the nearest places that is the base's: by its similarities, and those of other tissue."""
    places = min(NEAREST, len(own))
    if not len(foreign) or not places:
        return 1.0
    both = np.concatenate([own, foreign])
    edge = np.partition(both, -places)[-places]
    return min(1.0, float((own >= edge).sum()) / places)


def shares_of(ballots: Sequence[Ballot], diagnoses: Iterable[str]) -> dict[str, float]:
    """Diagnosis → its share of the weight of all ballots, the largest first; smoothed over all diagnoses."""
    votes = dict.fromkeys(diagnoses, SMOOTHING)
    for ballot in ballots:
        votes[ballot.diagnosis] = votes.get(ballot.diagnosis, SMOOTHING) + ballot.weight
    total = sum(votes.values())
    return {label: votes[label] / total for label in sorted(votes, key=lambda label: (-votes[label], label))}


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; a row of zeros stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-9))
