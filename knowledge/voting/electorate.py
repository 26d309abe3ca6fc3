"""Who votes: the pictures of a knowledge base's diagnosed records, or the reference tissue where a base has none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from videopath.core.errors import InputError, KnowledgeError
from videopath.core.once import once_property
from videopath.core.pathology.labels import normalised_label
from videopath.knowledge.index.fingerprint import NEAR_BITS, distances
from videopath.knowledge.query import Query
from videopath.knowledge.search import Searcher
from videopath.knowledge.storage.manifest import EncoderMark
from videopath.knowledge.storage.versions import OpenedVersion
from videopath.knowledge.voting.leave_group_out import ForeignTissue, measure
from videopath.knowledge.voting.measure import Measure
from videopath.knowledge.voting.reference import ReferenceTissue, reference_for, reference_of_encoder
from videopath.knowledge.voting.vote import Space, Vote, Voters, ballots_of, own_share, shares_of

_DEPTH = 1000  # records that may vote: the nearest by plain cosine


class Electorate:
    """The pictures of one version of a knowledge base, as voters. May be used from several threads."""

    def __init__(
        self, folder: Path, generation: OpenedVersion, searcher: Searcher, mark: EncoderMark
    ) -> None:
        self.mark = mark
        self._folder = folder
        self._generation = generation
        self._searcher = searcher

    def vote(self, query: Query) -> Vote | None:
        """What the nearest cases say of the query's picture; None where no case with a picture may vote.

        Where no site is asked, that of the nearest case is voted at; cases whose site is not known vote at a site that no
        case has.
        """
        measured, site = self.measure, query.canonical_site
        if measured is None:
            return None
        if site is not None and site not in self._candidates:
            query, site = replace(query, site=None), ""
        rows, vectors = self._searcher.pictures(query, _DEPTH)
        voters = self._as_voters(rows, measured.space.placed(vectors))
        image = measured.space.placed(np.asarray(query.image))
        return voted(voters, image, self._foreign, measured, site, self._candidates)

    @once_property
    def measure(self) -> Measure | None:
        """What is known of the vote: as the manifest has it, or measured now for a base that was made before."""
        file = self._generation.manifest.measures
        if file is None:
            return self.measured()
        try:
            return Measure.model_validate(json.loads((self._folder / file.name).read_bytes()))
        except (OSError, ValueError, ValidationError) as error:
            raise KnowledgeError(f"{self._folder / file.name} is damaged; build it again.") from error

    def measured(self) -> Measure | None:
        """Ask each group's cases of the others."""
        rows = np.array(sorted(self._facts), np.int64)
        if not len(rows):
            return None
        places, vectors = self._searcher.vectors("image", rows)
        if not len(places):
            return None
        space = Space.around(vectors if self._tissue is None else self._tissue.vectors, self._sizes)
        voters = self._as_voters(places, space.placed(vectors))
        return measure(voters, space, self._foreign_in(space), self.mark.sha256)

    @once_property
    def _facts(self) -> dict[int, tuple[str, str, str, str]]:
        """Row → (id, group, diagnosis, site), in one spelling each."""
        spelling: dict[str, str] = {}
        facts = {}
        for row, name, group, diagnosis, site in self._generation.store.diagnosed():
            label = spelling.setdefault(normalised_label(diagnosis), diagnosis)
            facts[row] = (name, group.casefold(), label, site)
        return facts

    @once_property
    def _candidates(self) -> dict[str, list[str]]:
        """Site → the diagnoses that it has."""
        return _by_site((site, diagnosis) for _, _, diagnosis, site in self._facts.values())

    @once_property
    def _tissue(self) -> ReferenceTissue | None:
        return reference_for(self.mark.each)

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(mark.dimension for mark in self.mark.each)

    @once_property
    def _foreign(self) -> np.ndarray:
        measured = self.measure
        assert measured is not None
        return self._foreign_in(measured.space).vectors

    def _foreign_in(self, space: Space) -> ForeignTissue:
        if self._tissue is None:
            nothing = np.zeros(0, str)
            return ForeignTissue(np.zeros((0, len(space.centre)), np.float32), nothing, nothing)
        return foreign_to(self._candidates, self._tissue, space)

    def _as_voters(self, rows: np.ndarray, placed: np.ndarray) -> Voters:
        known = np.array([row in self._facts for row in rows.tolist()], bool)
        columns = np.array([self._facts[row] for row in rows[known].tolist()], dtype=str).reshape(-1, 4)
        return Voters(placed[known], columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3])


class ReferenceElectorate:
    """The reference tissue as voters: for the starter, whose records have no pictures."""

    def __init__(self, tissue: ReferenceTissue) -> None:
        self.mark = tissue.mark
        self.measure = tissue.measure
        self._tissue = tissue

    def vote(self, query: Query) -> Vote | None:
        """What the nearest tiles say of the query's picture; None for a site of which there are none."""
        measured, site = self.measure, query.canonical_site
        if measured is None:
            return None
        image = measured.space.placed(np.asarray(query.image))
        voters = self._voters.of(~np.isin(self._voters.groups, self._shown_by(query)))
        return voted(voters, image, self._foreign, measured, site, self._candidates)

    def _shown_by(self, query: Query) -> np.ndarray:
        """The groups of tiles that show nearly the same picture as the query, or that it excludes by their names."""
        tissue = self._tissue
        same = np.isin(tissue.groups, query.exclude)
        if query.fingerprints is not None and len(query.fingerprints):
            same |= distances(query.fingerprints, tissue.fingerprints) <= NEAR_BITS
        return np.unique(tissue.groups[same])

    @once_property
    def _voters(self) -> Voters:
        assert self.measure is not None
        return voters_of(self._tissue, self.measure.space)

    @once_property
    def _candidates(self) -> dict[str, list[str]]:
        return _by_site(zip(self._voters.sites.tolist(), self._voters.diagnoses.tolist(), strict=True))

    @once_property
    def _foreign(self) -> np.ndarray:
        assert self.measure is not None
        return foreign_to(self._candidates, self._tissue, self.measure.space).vectors


@cache
def reference_electorate(sha256: str) -> ReferenceElectorate | None:
    """The reference tissue as the encoder with these weights sees it; None where there is none."""
    tissue = reference_of_encoder(sha256)
    return ReferenceElectorate(tissue) if tissue else None


def _by_site(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Site → its diagnoses, each once."""
    found: dict[str, dict[str, None]] = {}
    for site, diagnosis in pairs:
        found.setdefault(site, {})[diagnosis] = None
    return {site: list(labels) for site, labels in found.items()}


def foreign_to(sites: Iterable[str], tissue: ReferenceTissue, space: Space) -> ForeignTissue:
    """The tissue of other organs than these."""
    other = ~np.isin(tissue.sites, list(sites))
    return ForeignTissue(space.placed(tissue.vectors[other]), tissue.sites[other], tissue.groups[other])


def voters_of(tissue: ReferenceTissue, space: Space) -> Voters:
    """The tiles whose own diagnosis is known."""
    known = tissue.diagnoses != ""
    return Voters(
        space.placed(tissue.vectors[known]),
        tissue.ids[known],
        tissue.groups[known],
        tissue.diagnoses[known],
        tissue.sites[known],
    )


def voted(
    voters: Voters,
    image: np.ndarray,
    foreign: np.ndarray,
    measured: Measure,
    site: str | None,
    candidates: dict[str, list[str]],
) -> Vote | None:
    """The vote on a picture, float32 [clips, dimension], placed as the voters are, of which the best clip counts.

    Those of ``site`` vote; those of the nearest one's site where it is None. None where nobody votes.
    """
    if image.shape[1] != voters.vectors.shape[1]:
        raise InputError(
            f"The picture has {image.shape[1]} numbers; those of the knowledge base have {voters.vectors.shape[1]}."
        )
    if site is not None:
        voters = voters.of(voters.sites == site)
    if not len(voters):
        return None
    similarities = (voters.vectors @ image.T).max(axis=1)
    at = str(voters.sites[similarities.argmax()])
    if site is None:
        voters, similarities = voters.of(voters.sites == at), similarities[voters.sites == at]
    ballots = ballots_of(similarities, voters, measured.temperature)
    far = (foreign @ image.T).max(axis=1)
    return Vote(
        ballots=ballots,
        shares=shares_of(ballots, candidates[at]),
        site=at,
        own=own_share(similarities, far),
    )
