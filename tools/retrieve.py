"""The retrieve tool: it finds similar cases by words and pictures, and chooses those that become evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from videopath.core.errors import InputError
from videopath.core.privacy.paths import screened_label
from videopath.tools.base import TissueTool
from videopath.tools.context import ContextRules, neighbours_of
from videopath.tools.frame_encoders.picture_vectors import joined_vectors
from videopath.tools.schemas import (
    CaseBallot,
    CasesVote,
    ClipInput,
    ExcludedRecord,
    RetrieveResult,
    SiteInput,
)
from videopath.tools.session_pool import Recording, SessionPool, pool_of

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge import KnowledgeBase, Measure, Query, SearchResult, Vote
    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.knowledge.query import Excluded
    from videopath.knowledge.storage.manifest import EncoderMark

SEARCH_DEPTH = 4
"""How many times ``k`` hits are searched: a rival may stand behind many cases of one diagnosis."""

NEAR_IDENTICAL = "near-identical frame"
"""The reason of an exclusion: the record shows nearly the same frame as the clip in question."""

_OPENING = RLock()  # one thread opens a knowledge base, the others wait for it
_LISTED = 20  # excluded records that are listed by name; further ones are only counted


class RetrieveInput(SiteInput):
    """The arguments of ``retrieve_similar_cases``."""

    description: str = Field(description="histological findings to search for")
    exclude_sources: list[str] = Field(
        default_factory=list,
        description="path and SHA-256 of the video in question, its slide, patient or group; "
        "their records are never returned",
    )
    drop: list[str] = Field(default_factory=list, description="ids of records whose votes a person excluded")
    k: int = Field(5, ge=1, le=100, description="how many cases to return; more only if they are evidence")
    clip: ClipInput | None = Field(
        None, description="the clip in question: cases that look like it are found, copies of it are excluded"
    )
    also_shown: list[ClipInput] = Field(
        default_factory=list,
        description="other clips of the same video, such as the whole video that `clip` is a part of; "
        "copies are recognised by their frames, too",
    )


class RetrieveTool(TissueTool):
    """The tool ``retrieve_similar_cases``.

    ``RetrieveTool().invoke({"description": "…"})`` returns a :class:`RetrieveResult` from the bundled starter.
    With ``engine=`` (or ``sessions=``) and a clip, a knowledge base with pictures is also searched by picture.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "retrieve_similar_cases"
    description: str = (
        "Find described and diagnosed cases whose histology is most like a description or a clip. "
        "Each comes with its similarity, its rank in each view and why it was kept as evidence or dropped."
    )
    args_schema: type[BaseModel] = RetrieveInput
    knowledge: SkipValidation[Any] = Field(
        None, exclude=True, description="a KnowledgeBase or its folder; by default the bundled starter"
    )
    sessions: SkipValidation[SessionPool | Recording | None] = Field(None, exclude=True)
    rules: ContextRules = Field(default_factory=ContextRules)

    @model_validator(mode="before")
    @classmethod
    def _engine_or_sessions(cls, values: dict[str, Any]) -> dict[str, Any]:
        return pool_of(values) if "engine" in values else values

    def open(self) -> KnowledgeBase:
        """Return the knowledge base, and open it at the first call. Several threads open it once."""
        with _OPENING:
            if self.knowledge is None or isinstance(self.knowledge, str | Path):
                from videopath.knowledge import KnowledgeBase

                self.knowledge = (
                    KnowledgeBase.open(Path(self.knowledge)) if self.knowledge else KnowledgeBase.starter()
                )
            return self.knowledge

    def provenance(self) -> dict[str, str]:
        """Return the hashes and the version of the knowledge base; empty before it is opened."""
        base = self.knowledge
        if base is None or isinstance(base, str | Path):
            return {}
        info = base.info()
        hashes = {"index": info.index_sha256, "data": info.data_sha256, "embedder": info.embedder.sha256}
        encoder = {"image_encoder": info.image_encoder.sha256} if info.image_encoder else {}
        return {**hashes, **encoder, "version": str(info.version)}

    def _run(
        self,
        description: str,
        site: str | None = None,
        exclude_sources: list[str] | None = None,
        drop: Sequence[str] = (),
        k: int = 5,
        clip: ClipInput | None = None,
        also_shown: Sequence[ClipInput] = (),
    ) -> RetrieveResult:
        from videopath.knowledge import Query

        base = self.open()
        notes: list[str] = []
        image = prints = None
        if clip is not None and base.voting_encoder is not None:
            image, prints, notes = self._encoded(base, clip, also_shown)
        if not description.strip():
            if image is None:
                return RetrieveResult(query=description, neighbours=[], notes=notes)
            notes.append("Words were not compared: there is no description.")
        query = Query(
            description,
            image=image,
            fingerprints=prints,
            site=site,
            diagnosed=True,
            exclude=tuple(exclude_sources or ()),
        )
        result, excluded, query = _search(base, query, k)
        return RetrieveResult(
            query=description,
            neighbours=neighbours_of(result.hits, site, k, self.rules),
            index_sha256=base.info().index_sha256,
            views=list(result.views),
            notes=notes,
            excluded=excluded[:_LISTED],
            excluded_count=len(excluded),
            vote=cases_vote(base, query, drop) if image is not None else None,
            **(self._calibration(base) if image is not None else {}),
            voters_are_known_tissue=base.fixed and image is not None and self._is_own_tower(base),
            known_tissue=self._known_tissue(base, query, clip),
        )

    def _calibration(self, base: KnowledgeBase) -> dict[str, Any]:
        """Return the calibration that the base measured for this model, scored in this way, together with its cases."""
        measure = base.measure
        if measure is None or self.sessions is None:
            return {}
        of_model = measure.models.get(self.sessions.info.weights_sha256)
        if of_model is None or of_model.scoring != self.sessions.info.scoring:
            return {}
        return {"calibration": of_model.calibration, "calibrated_on": str(of_model)}

    def _is_own_tower(self, base: KnowledgeBase) -> bool:
        from videopath.model.inference.frame_vectors import tower_sha256

        return self.sessions is not None and _voting_mark(base).sha256 == tower_sha256(self.sessions.info)

    def _known_tissue(self, base: KnowledgeBase, query: Query, clip: ClipInput | None) -> CasesVote | None:
        """Return the vote of the tiles that the model was trained on.

        It is ``None`` if no reference tissue ships for this model, or if that tissue is the base's own voters.
        """
        from videopath.knowledge.voting.electorate import reference_electorate
        from videopath.model.inference.frame_vectors import tower_sha256

        if clip is None or self.sessions is None or base.fixed:
            return None
        pool = self.sessions.pool if isinstance(self.sessions, Recording) else self.sessions
        electorate = reference_electorate(tower_sha256(pool.info))
        if electorate is None:
            return None
        mark, own = electorate.mark, base.voting_encoder
        image = query.image if own and (own.sha256, own.views) == (mark.sha256, mark.views) else None
        if image is None:
            image = self.sessions.open(clip).picture_vector(_encoder_of(mark, pool), mark.views)
        return _judged_vote(electorate.vote(replace(query, image=image)), electorate.measure, query)

    def _encoded(
        self, base: KnowledgeBase, clip: ClipInput, also_shown: Sequence[ClipInput]
    ) -> tuple[np.ndarray | None, np.ndarray | None, list[str]]:
        """Return the clip's vector by the base's image encoders, its fingerprints, and notes if there is no vector."""
        sessions = self.sessions
        if sessions is None:
            note = "Pictures were not compared: this tool has no model to encode them (engine=)."
            return None, None, [note]
        pool = sessions.pool if isinstance(sessions, Recording) else sessions
        prints = _fingerprints(pool, [clip, *also_shown])
        try:
            encoders = [_encoder_of(mark, pool) for mark in _voting_mark(base).each]
        except InputError as error:
            return None, prints, [f"Pictures were not compared: {error}"]
        session, views = sessions.open(clip), _voting_mark(base).views
        return (
            joined_vectors([session.picture_vector(encoder, views)[None] for encoder in encoders])[0],
            prints,
            [],
        )


def _voting_mark(base: KnowledgeBase) -> EncoderMark:
    mark = base.voting_encoder
    assert mark is not None
    return mark


def _encoder_of(mark: EncoderMark, pool: SessionPool) -> FrameEncoder:
    """Return the encoder of a mark: the model's own tower, or an encoder that is loaded by its name.

    The second way is that of every model whose engine gives no vectors of frames, such as a served one.

    Raises:
        InputError: The encoder is the tower of another model (only nano's is loaded because a base names it), is not
            installed, or has other weights here.
    """
    from videopath.model.inference.frame_vectors import tower_sha256
    from videopath.tools.frame_encoders.loading import TOWER, is_loaded_by_name

    if mark.sha256 == tower_sha256(pool.info) and pool.encodes_frames:
        return pool.encoder(TOWER)
    encoded_by = f"those of the knowledge base were encoded by {mark.name} ({mark.sha256[:12]}…)"
    if not is_loaded_by_name(mark.name):
        raise InputError(f"{encoded_by}, which is not the tower of {pool.info.name}.")
    try:
        encoder = pool.encoder(mark.name)
    except InputError as error:
        raise InputError(f"{encoded_by}. {error}") from error
    if encoder.sha256 != mark.sha256:
        raise InputError(f"{encoded_by}; the {mark.name} that is installed has other weights.")
    return encoder


def cases_vote(base: KnowledgeBase, query: Query, drop: Sequence[str] = ()) -> CasesVote | None:
    """Return the vote of a base's cases on a query's picture, and whether they vouch for it.

    Args:
        base: The knowledge base.
        query: A query with an image.
        drop: Ids of records whose votes do not count.

    Returns:
        The vote, or ``None`` if no case votes.
    """
    return _judged_vote(base.vote(query), base.measure, query, drop)


def _judged_vote(
    vote: Vote | None, measure: Measure | None, query: Query, drop: Sequence[str] = ()
) -> CasesVote | None:
    from videopath.knowledge import judge

    if vote is None or measure is None:
        return None
    if drop:
        vote = vote.without(drop)
    if not vote.ballots:
        return None
    judgement, deciding = judge(vote, measure, site_known=query.site is not None), vote.deciding
    others = vote.without(deciding)
    return CasesVote(
        diagnosis=vote.leading,
        shares={label: round(share, 6) for label, share in vote.shares.items()},
        site=vote.site,
        ballots=[CaseBallot(**ballot.model_dump()) for ballot in vote.ballots],
        nearness=round(vote.nearness, 6),
        own=vote.own,
        probability=judgement.probability,
        from_here=judgement.from_here,
        vouches=judgement.vouches,
        reasons=judgement.reasons,
        measured_on=judgement.measured_on,
        deciding=deciding,
        without=others.leading if others.ballots else "",
    )


def _fingerprints(pool: SessionPool, clips: Sequence[ClipInput]) -> np.ndarray:
    """Return the fingerprints of all clips, turned in all eight ways: uint8 [frames, FINGERPRINT_BYTES]."""
    import numpy as np

    from videopath.knowledge.index.fingerprint import turned_fingerprints

    return np.concatenate([turned_fingerprints(pool.clip(clip).frames) for clip in clips])


def _search(base: KnowledgeBase, query: Query, k: int) -> tuple[SearchResult, list[ExcludedRecord], Query]:
    """Return the hits, the excluded records, and the final query.

    If the site has fewer than ``k`` records, the nearest of other sites follow; they are shown as dropped.
    """
    query, result, excluded = _search_without_own(base, query, SEARCH_DEPTH * k)
    if query.site and len(result.hits) < k:
        anywhere = base.find(replace(query, site=None), k)
        ids = {hit.record.id for hit in result.hits}
        others = [hit for hit in anywhere.hits if hit.record.id not in ids][: k - len(result.hits)]
        result = result.model_copy(update={"hits": [*result.hits, *others]})
    return result, excluded, query


def _search_without_own(
    base: KnowledgeBase, query: Query, k: int
) -> tuple[Query, SearchResult, list[ExcludedRecord]]:
    """Search, and search again without the names of records that show nearly the same frame as the query.

    Such a record has the source, patient and group of the case, whatever the case's video is called. So the search
    excludes these names as well.
    """
    result = base.find(query, k)
    excluded = {record.id: _listed(record) for record in result.excluded}
    own_names = _names_of(base, [record.id for record in result.excluded if record.reason == NEAR_IDENTICAL])
    if own_names:
        query = replace(query, exclude=(*query.exclude, *own_names))
        result = base.find(query, k)
        for record in result.excluded:
            listed = _listed(record)
            if record.detail in own_names:
                listed.detail += f", as {own_names[record.detail]}, which shows nearly the same frame"
            excluded.setdefault(record.id, listed)
    return query, result, list(excluded.values())


def _listed(record: Excluded) -> ExcludedRecord:
    """Return an excluded record as cases list it, without a person's data in its source or in the reason."""
    values = record.model_dump()
    return ExcludedRecord(
        **{**values, "source": screened_label(record.source), "detail": screened_label(record.detail)}
    )


def _names_of(base: KnowledgeBase, ids: Sequence[str]) -> dict[str, str]:
    """Return source, patient or group of the records → the first record that has it."""
    names: dict[str, str] = {}
    for record in map(base.get, ids):
        for name in (record.source, record.patient, record.group):
            if name:
                names.setdefault(name, record.id)
    return names
