"""The vote of the nearest cases on a picture.

Pictures are compared by centred cosines: the mean of all tissue is subtracted, so that only the differences within tissue
count. Each group (a patient, else a group, else a source) has one vote, that of its nearest picture. It weighs less the
farther the picture lies behind the nearest of all. The shares are smoothed over all diagnoses of the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import BaseModel

NEAREST = 10
"""How many groups vote, and how many nearest places tissue of other organs competes for."""
SMOOTHING = 0.1
"""The votes that each diagnosis has before any group votes."""


@dataclass(frozen=True)
class Space:
    """How pictures are compared: by the mean over the encoders of the cosine around a centre."""

    centre: np.ndarray
    """float32 [dimension]: the mean of tissue of many kinds."""
    sizes: tuple[int, ...]
    """How many numbers of a joined vector belong to each encoder; their sum is the dimension."""

    @classmethod
    def around(cls, vectors: np.ndarray, sizes: Sequence[int] = ()) -> Self:
        """Return the space around the mean of vectors, float32 [pictures, dimension]; by default of one encoder."""
        return cls(np.asarray(vectors, np.float32).mean(axis=0), tuple(sizes) or (int(np.shape(vectors)[1]),))

    def placed(self, vectors: np.ndarray) -> np.ndarray:
        """Centre and scale vectors so that their dot products are centred cosines: float32 [n, dimension]."""
        moved = np.atleast_2d(np.asarray(vectors, np.float32)) - self.centre
        ends = np.cumsum(self.sizes)[:-1]
        blocks = [_unit(block) for block in np.split(moved, ends, axis=1)]
        return np.concatenate(blocks, axis=1) / np.float32(len(blocks) ** 0.5)


@dataclass(frozen=True)
class Voters:
    """Pictures that may vote. All arrays have the same order."""

    vectors: np.ndarray
    """float32 [pictures, dimension], placed in a space by :meth:`Space.placed`."""
    ids: np.ndarray
    """str [pictures]: the ids of their records."""
    groups: np.ndarray
    """str [pictures]"""
    diagnoses: np.ndarray
    """str [pictures]"""
    sites: np.ndarray
    """str [pictures]; empty if the site is not known."""

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, selection: np.ndarray) -> Self:
        """Return some of the voters, by indices or by a mask."""
        return type(self)(
            self.vectors[selection],
            self.ids[selection],
            self.groups[selection],
            self.diagnoses[selection],
            self.sites[selection],
        )


class Ballot(BaseModel, frozen=True):
    """The vote of one group."""

    id: str
    """The id of its nearest record."""
    group: str
    diagnosis: str
    similarity: float
    """The centred cosine to the picture, in [-1, 1]."""
    weight: float
    """1 for the nearest group of all, less for the others."""


class Vote(BaseModel, frozen=True):
    """The ballots of the nearest groups, and the share of each diagnosis."""

    ballots: list[Ballot]
    """The nearest first."""
    shares: dict[str, float]
    """Diagnosis → its share of the vote. The sum is 1, the largest share comes first."""
    site: str = ""
    """The site of the cases that voted; empty if it is not known."""
    own: float = 1.0
    """The share of the nearest pictures that are the base's own, not tissue of other organs, in [0, 1]."""

    @property
    def leading(self) -> str:
        """The diagnosis with the largest share."""
        return next(iter(self.shares))

    @property
    def share(self) -> float:
        """The share of the leading diagnosis."""
        return self.shares[self.leading]

    @property
    def margin(self) -> float:
        """How far the first share is ahead of the second; the first share if there is only one diagnosis."""
        first, second, *_ = *self.shares.values(), 0.0
        return first - second

    @property
    def nearness(self) -> float:
        """The similarity of the nearest case."""
        return self.ballots[0].similarity

    @property
    def deciding(self) -> list[str]:
        """The records without whose votes another diagnosis would lead: the nearest voters of the leading diagnosis.

        If no other diagnosis can lead, these are all voters of the leading diagnosis.
        """
        dropped: list[str] = []
        for ballot in sorted(self.ballots, key=lambda ballot: -ballot.weight):
            if ballot.diagnosis == self.leading:
                dropped.append(ballot.id)
                if self.without(dropped).leading != self.leading:
                    break
        return dropped

    def without(self, ids: Iterable[str]) -> Vote:
        """Return the vote without these records. Their groups do not vote by another record instead."""
        dropped = set(ids)
        rest = [ballot for ballot in self.ballots if ballot.id not in dropped]
        return Vote(ballots=rest, shares=shares_of(rest, self.shares), site=self.site, own=self.own)


def ballots_of(similarities: np.ndarray, voters: Voters, temperature: float) -> list[Ballot]:
    """Return the ballots of the nearest groups.

    Args:
        similarities: float32 [pictures], at least one: the similarity of each voter to the picture in question.
        voters: The voters, in the same order.
        temperature: A vote weighs e times less if its similarity is this much lower.
    """
    _, codes = np.unique(voters.groups, return_inverse=True)
    nearest = nearest_groups(similarities, codes)
    top = float(similarities[nearest[0]])
    return [
        Ballot(
            id=str(voters.ids[index]),
            group=str(voters.groups[index]),
            diagnosis=str(voters.diagnoses[index]),
            similarity=float(np.clip(similarities[index], -1, 1)),
            weight=float(np.exp((similarities[index] - top) / temperature)),
        )
        for index in nearest
    ]


def nearest_groups(similarities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the index of the nearest picture of each of the nearest groups, the nearest first.

    Args:
        similarities: float [pictures]; a picture with -inf does not vote.
        groups: int [pictures].
    """
    for depth in (16 * NEAREST, len(similarities)):  # the first depth is nearly always enough
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
    """Return the share of the nearest places that the base's own pictures hold, in [0, 1].

    ``own`` and ``foreign`` are the similarities to the base's pictures and to tissue of other organs.
    """
    places = min(NEAREST, len(own))
    if not len(foreign) or not places:
        return 1.0
    both = np.concatenate([own, foreign])
    edge = np.partition(both, -places)[-places]
    return min(1.0, float((own >= edge).sum()) / places)


def shares_of(ballots: Sequence[Ballot], diagnoses: Iterable[str]) -> dict[str, float]:
    """Return diagnosis → smoothed share of the weight of all ballots, the largest first."""
    votes = dict.fromkeys(diagnoses, SMOOTHING)
    for ballot in ballots:
        votes[ballot.diagnosis] = votes.get(ballot.diagnosis, SMOOTHING) + ballot.weight
    total = sum(votes.values())
    return {label: votes[label] / total for label in sorted(votes, key=lambda label: (-votes[label], label))}


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return rows scaled to length 1. A row of zeros stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-9))
