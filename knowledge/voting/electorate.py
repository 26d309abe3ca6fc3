"""Who votes: the pictures of a base's diagnosed records, or the reference tissue for the starter."""

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
from videopath.core.privacy.paths import is_screened, stands_for
from videopath.knowledge.index.fingerprint import NEAR_BITS, distances
from videopath.knowledge.query import Query
from videopath.knowledge.search import Searcher
from videopath.knowledge.storage.manifest import EncoderMark
from videopath.knowledge.storage.versions import OpenedVersion
from videopath.knowledge.voting.leave_group_out import ForeignTissue, measure_vote
from videopath.knowledge.voting.measure import Measure
from videopath.knowledge.voting.reference import ReferenceTissue, reference_for, reference_of_encoder
from videopath.knowledge.voting.vote import Space, Vote, Voters, ballots_of, own_share, shares_of

_DEPTH = 1000  # only this many records, the nearest by plain cosine, can vote


class Electorate:
    """The pictures of one version of a knowledge base, as voters. Several threads may use it."""

    def __init__(self, folder: Path, version: OpenedVersion, searcher: Searcher, mark: EncoderMark) -> None:
        self.mark = mark
        self._folder = folder
        self._version = version
        self._searcher = searcher

    def vote(self, query: Query) -> Vote | None:
        """Let the nearest cases vote on the query's picture. Return ``None`` if no case with a picture may vote.

        If the query has no site, the cases of the nearest case's site vote. If no case has the query's site, the cases
        without a site vote.
        """
        measure, site = self.measure, query.canonical_site
        if measure is None:
            return None
        if site is not None and site not in self._candidates:
            query, site = replace(query, site=None), ""
        rows, vectors = self._searcher.pictures(query, _DEPTH)
        voters = self._as_voters(rows, measure.space.placed(vectors))
        image = measure.space.placed(np.asarray(query.image))
        return vote_on(image, voters, self._foreign, measure, site, self._candidates)

    @once_property
    def measure(self) -> Measure | None:
        """The measure of the vote: the stored one, or for a base of an earlier version one that is measured now."""
        file = self._version.manifest.measures
        if file is None:
            return self.measure_now()
        try:
            return Measure.model_validate(json.loads((self._folder / file.name).read_bytes()))
        except (OSError, ValueError, ValidationError) as error:
            raise KnowledgeError(f"{self._folder / file.name} is damaged; build it again.") from error

    def measure_now(self) -> Measure | None:
        """Measure the vote by leaving out each group. Return ``None`` if it cannot be measured."""
        rows = np.array(sorted(self._facts), np.int64)
        if not len(rows):
            return None
        picture_rows, vectors = self._searcher.vectors("image", rows)
        if not len(picture_rows):
            return None
        space = Space.around(vectors if self._tissue is None else self._tissue.vectors, self._sizes)
        voters = self._as_voters(picture_rows, space.placed(vectors))
        return measure_vote(voters, space, self._foreign_in(space), self.mark.sha256)

    @once_property
    def _facts(self) -> dict[int, tuple[str, str, str, str]]:
        """Row → (id, group, diagnosis, site); each diagnosis and group has one spelling."""
        spelling: dict[str, str] = {}
        facts = {}
        for row, name, group, diagnosis, site in self._version.store.diagnosed():
            label = spelling.setdefault(normalised_label(diagnosis), diagnosis)
            facts[row] = (name, group.casefold(), label, site)
        return facts

    @once_property
    def _candidates(self) -> dict[str, list[str]]:
        """Site → the diagnoses of its cases."""
        return _by_site((site, diagnosis) for _, _, diagnosis, site in self._facts.values())

    @once_property
    def _tissue(self) -> ReferenceTissue | None:
        return reference_for(self.mark.each)

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(mark.dimension for mark in self.mark.each)

    @once_property
    def _foreign(self) -> np.ndarray:
        measure = self.measure
        assert measure is not None
        return self._foreign_in(measure.space).vectors

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
    """The reference tissue as voters, for the starter, whose records have no pictures."""

    def __init__(self, tissue: ReferenceTissue) -> None:
        self.mark = tissue.mark
        self.measure = tissue.measure
        self._tissue = tissue

    def vote(self, query: Query) -> Vote | None:
        """Let the nearest tiles vote on the query's picture. Return ``None`` if there are no tiles of the site."""
        measure, site = self.measure, query.canonical_site
        if measure is None:
            return None
        image = measure.space.placed(np.asarray(query.image))
        voters = self._voters.subset(~np.isin(self._voters.groups, self._excluded_groups(query)))
        return vote_on(image, voters, self._foreign, measure, site, self._candidates)

    def _excluded_groups(self, query: Query) -> np.ndarray:
        """Return the groups whose tiles show nearly the same picture as the query, or that it excludes by name."""
        tissue = self._tissue
        same = np.isin(tissue.groups, query.exclude)
        for name in filter(is_screened, query.exclude):
            alike = [group for group in np.unique(tissue.groups) if stands_for(name, str(group))]
            same |= np.isin(tissue.groups, alike)
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
    """Return the reference tissue of the encoder with these weights as voters; ``None`` if none ships."""
    tissue = reference_of_encoder(sha256)
    return ReferenceElectorate(tissue) if tissue else None


def _by_site(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return site → its diagnoses, each once."""
    diagnoses: dict[str, dict[str, None]] = {}
    for site, diagnosis in pairs:
        diagnoses.setdefault(site, {})[diagnosis] = None
    return {site: list(labels) for site, labels in diagnoses.items()}


def foreign_to(sites: Iterable[str], tissue: ReferenceTissue, space: Space) -> ForeignTissue:
    """Return the reference tissue of all organs except these."""
    other = ~np.isin(tissue.sites, list(sites))
    return ForeignTissue(space.placed(tissue.vectors[other]), tissue.sites[other], tissue.groups[other])


def voters_of(tissue: ReferenceTissue, space: Space) -> Voters:
    """Return the tiles whose own diagnosis is known as voters."""
    known = tissue.diagnoses != ""
    return Voters(
        space.placed(tissue.vectors[known]),
        tissue.ids[known],
        tissue.groups[known],
        tissue.diagnoses[known],
        tissue.sites[known],
    )


def vote_on(
    image: np.ndarray,
    voters: Voters,
    foreign: np.ndarray,
    measure: Measure,
    site: str | None,
    candidates: dict[str, list[str]],
) -> Vote | None:
    """Let voters vote on a picture.

    Args:
        image: float32 [clips, dimension], placed in the voters' space. The nearest clip counts.
        voters: The pictures that may vote.
        foreign: float32 [tiles, dimension], placed in the same space: tissue of other organs.
        measure: The measure of the base, for its temperature.
        site: The site whose voters vote; ``None`` takes the site of the nearest voter.
        candidates: Site → its diagnoses.

    Returns:
        The vote, or ``None`` if there are no voters of the site.

    Raises:
        InputError: The image has another dimension than the voters.
    """
    if image.shape[1] != voters.vectors.shape[1]:
        raise InputError(
            f"The picture has {image.shape[1]} numbers; those of the knowledge base have {voters.vectors.shape[1]}."
        )
    if site is not None:
        voters = voters.subset(voters.sites == site)
    if not len(voters):
        return None
    similarities = (voters.vectors @ image.T).max(axis=1)
    voting_site = str(voters.sites[similarities.argmax()])
    if site is None:
        at_site = voters.sites == voting_site
        voters, similarities = voters.subset(at_site), similarities[at_site]
    ballots = ballots_of(similarities, voters, measure.temperature)
    return Vote(
        ballots=ballots,
        shares=shares_of(ballots, candidates[voting_site]),
        site=voting_site,
        own=own_share(similarities, (foreign @ image.T).max(axis=1)),
    )
