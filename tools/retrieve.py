"""Find cases that are alike by what is said and by what is seen, and choose those that become evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from videopath.core.errors import InputError
from videopath.tools.base import TissueTool
from videopath.tools.context import ContextRules, neighbours_of
from videopath.tools.frame_encoders.picture_vectors import joined_vectors
from videopath.tools.schemas import CaseBallot, CasesVote, ClipInput, LeftOut, RetrieveResult, SiteInput
from videopath.tools.session_pool import Recording, SessionPool, pool_of

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge import KnowledgeBase, Measure, Query, SearchResult, Vote
    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.knowledge.storage.manifest import EncoderMark

DEEPER = 4
"""Times as many are looked at as may be kept: behind many of one diagnosis a rival may stand."""

NEAR_IDENTICAL = "near-identical frame"
"""Why a record is left out that shows what the clip in question shows."""

_OPENING = RLock()  # a knowledge base is opened by one thread, the others wait for it
_TOLD = 20  # records that may not be seen, by name; more are counted


class RetrieveInput(SiteInput):
    """What ``retrieve_similar_cases`` needs."""

    description: str = Field(description="histological findings to look for")
    exclude_sources: list[str] = Field(
        default_factory=list,
        description="path and SHA-256 of the video in question, its slide, patient or group: "
        "records of the same are never returned",
    )
    drop: list[str] = Field(
        default_factory=list, description="ids of records that a person does not let vote"
    )
    k: int = Field(5, ge=1, le=100, description="how many cases to look at")
    clip: ClipInput | None = Field(
        None, description="the clip in question: cases that look like it are found, copies of it left out"
    )
    also_shown: list[ClipInput] = Field(
        default_factory=list,
        description="other clips of the same video, such as the whole that `clip` is a part of: "
        "copies are known by their frames, too",
    )


class RetrieveTool(TissueTool):
    """``RetrieveTool().invoke({"description": "…"})`` gives a :class:`RetrieveResult` from the starter knowledge.

    With ``engine=`` (or ``sessions=``) and a clip, a knowledge base with pictures is searched by the picture as well.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "retrieve_similar_cases"
    description: str = (
        "Find described and diagnosed cases whose histology is most like a description or a clip. "
        "Each comes with its similarity, its rank in each view and why it was kept as evidence or dropped."
    )
    args_schema: type[BaseModel] = RetrieveInput
    knowledge: SkipValidation[Any] = Field(
        None, exclude=True, description="a KnowledgeBase or its folder; none: the bundled starter"
    )
    sessions: SkipValidation[SessionPool | Recording | None] = Field(None, exclude=True)
    rules: ContextRules = Field(default_factory=ContextRules)

    @model_validator(mode="before")
    @classmethod
    def _engine_or_sessions(cls, values: dict[str, Any]) -> dict[str, Any]:
        return pool_of(values) if "engine" in values else values

    def open(self) -> KnowledgeBase:
        """The knowledge base, opened now if it was not yet; by one thread, however many ask at once."""
        with _OPENING:
            if self.knowledge is None or isinstance(self.knowledge, str | Path):
                from videopath.knowledge import KnowledgeBase

                self.knowledge = (
                    KnowledgeBase.open(Path(self.knowledge)) if self.knowledge else KnowledgeBase.starter()
                )
            return self.knowledge

    def provenance(self) -> dict[str, str]:
        """Hashes and version of what was searched; empty as long as nothing was."""
        base = self.knowledge
        if base is None or isinstance(base, str | Path):
            return {}
        info = base.info()
        found = {"index": info.index_sha256, "data": info.data_sha256, "embedder": info.embedder.sha256}
        encoder = {"image_encoder": info.image_encoder.sha256} if info.image_encoder else {}
        return {**found, **encoder, "version": str(info.version)}

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
            image, prints, notes = self._seen(base, clip, also_shown)
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
        found, excluded, query = _found(base, query, k)
        return RetrieveResult(
            query=description,
            neighbours=neighbours_of(found.hits, site, k, self.rules),
            index_sha256=base.info().index_sha256,
            views=list(found.views),
            notes=notes,
            excluded=excluded[:_TOLD],
            excluded_count=len(excluded),
            vote=cases_vote(base, query, drop) if image is not None else None,
            **(self._calibration(base) if image is not None else {}),
            voters_are_known_tissue=base.fixed and image is not None and self._is_own_tower(base),
            known_tissue=self._known_tissue(base, query, clip),
        )

    def _calibration(self, base: KnowledgeBase) -> dict[str, Any]:
        """What the base measured of this model together with its cases."""
        measured = base.measure
        if measured is None or self.sessions is None:
            return {}
        found = measured.models.get(self.sessions.info.weights_sha256)
        return {"calibration": found.calibration, "calibrated_on": str(found)} if found else {}

    def _is_own_tower(self, base: KnowledgeBase) -> bool:
        from videopath.model.inference.frame_vectors import tower_sha256

        return self.sessions is not None and _voting(base).sha256 == tower_sha256(self.sessions.info)

    def _known_tissue(self, base: KnowledgeBase, query: Query, clip: ClipInput | None) -> CasesVote | None:
        """What the tiles say that the model was trained on, where these ship and are not the base's own voters."""
        from videopath.knowledge.voting.electorate import reference_electorate
        from videopath.model.inference.frame_vectors import tower_sha256
        from videopath.tools.frame_encoders.loading import TOWER

        if clip is None or self.sessions is None or base.fixed:
            return None
        pool = self.sessions.pool if isinstance(self.sessions, Recording) else self.sessions
        electorate = reference_electorate(tower_sha256(pool.info))
        if electorate is None:
            return None
        mark, own = electorate.mark, base.voting_encoder
        seen = query.image if own and (own.sha256, own.views) == (mark.sha256, mark.views) else None
        if seen is None:
            seen = self.sessions.open(clip).picture_vector(pool.encoder(TOWER), mark.views)
        return _told_vote(electorate.vote(replace(query, image=seen)), electorate.measure, query)

    def _seen(
        self, base: KnowledgeBase, clip: ClipInput, also_shown: Sequence[ClipInput]
    ) -> tuple[np.ndarray | None, np.ndarray | None, list[str]]:
        """The clip's vector by the encoders of the base's pictures, its fingerprints, and why there is no vector."""
        sessions = self.sessions
        if sessions is None:
            note = "Pictures were not compared: this tool was given no model (engine=) to see by."
            return None, None, [note]
        pool = sessions.pool if isinstance(sessions, Recording) else sessions
        prints = _fingerprints(pool, [clip, *also_shown])
        try:
            encoders = [_encoder_of(mark, pool) for mark in _voting(base).each]
        except InputError as error:
            return None, prints, [f"Pictures were not compared: {error}"]
        session, views = sessions.open(clip), _voting(base).views
        return joined_vectors([session.picture_vector(one, views)[None] for one in encoders])[0], prints, []


def _voting(base: KnowledgeBase) -> EncoderMark:
    mark = base.voting_encoder
    assert mark is not None
    return mark


def _encoder_of(mark: EncoderMark, pool: SessionPool) -> FrameEncoder:
    """The encoder of a mark: the model's own tower, or one that is loaded by its name.

    Raises ``InputError`` where it is the tower of another model than nano, which no knowledge base has loaded, where it is
    not installed, or has other weights here.
    """
    from videopath.model.inference.frame_vectors import tower_sha256
    from videopath.tools.frame_encoders.loading import TOWER, is_loaded_by_name

    if mark.sha256 == tower_sha256(pool.info):
        return pool.encoder(TOWER)
    told = f"those of the knowledge base were encoded by {mark.name} ({mark.sha256[:12]}…)"
    if not is_loaded_by_name(mark.name):
        raise InputError(f"{told}, which is not the tower of {pool.info.name}.")
    try:
        encoder = pool.encoder(mark.name)
    except InputError as error:
        raise InputError(f"{told}. {error}") from error
    if encoder.sha256 != mark.sha256:
        raise InputError(f"{told}; the {mark.name} that is installed has other weights.")
    return encoder


def cases_vote(base: KnowledgeBase, query: Query, drop: Sequence[str] = ()) -> CasesVote | None:
    """The vote of a base's cases on a query's picture, those dropped left out, and whether they vouch for it."""
    return _told_vote(base.vote(query), base.measure, query, drop)


def _told_vote(
    vote: Vote | None, measure: Measure | None, query: Query, drop: Sequence[str] = ()
) -> CasesVote | None:
    from videopath.knowledge import judge

    if vote is None or measure is None:
        return None
    if drop:
        vote = vote.without(drop)
    if not vote.ballots:
        return None
    judged, deciding = judge(vote, measure, site_known=query.site is not None), vote.deciding
    others = vote.without(deciding)
    return CasesVote(
        diagnosis=vote.leading,
        shares={label: round(share, 6) for label, share in vote.shares.items()},
        site=vote.site,
        ballots=[CaseBallot(**ballot.model_dump()) for ballot in vote.ballots],
        nearness=round(vote.nearness, 6),
        own=vote.own,
        probability=judged.probability,
        from_here=judged.from_here,
        vouches=judged.vouches,
        reasons=judged.reasons,
        measured_on=judged.measured_on,
        deciding=deciding,
        without=others.leading if others.ballots else "",
    )


def _fingerprints(pool: SessionPool, clips: Sequence[ClipInput]) -> np.ndarray:
    """uint8 [frames, FINGERPRINT_BYTES]: of all clips, in all the ways in which a slide may lie."""
    import numpy as np

    from videopath.knowledge.index.fingerprint import turned_fingerprints

    return np.concatenate([turned_fingerprints(pool.clip(clip).frames) for clip in clips])


def _found(base: KnowledgeBase, query: Query, k: int) -> tuple[SearchResult, list[LeftOut], Query]:
    """The nearest that may be seen, those that may not, and the query that was asked in the end.

    Where the site has fewer than ``k``, the nearest of other sites follow, to be shown as dropped.
    """
    query, found, excluded = _without_own(base, query, DEEPER * k)
    if query.site and len(found.hits) < k:
        anywhere = base.find(replace(query, site=None), k)
        seen = {hit.record.id for hit in found.hits}
        others = [hit for hit in anywhere.hits if hit.record.id not in seen][: k - len(found.hits)]
        found = found.model_copy(update={"hits": [*found.hits, *others]})
    return found, excluded, query


def _without_own(base: KnowledgeBase, query: Query, k: int) -> tuple[Query, SearchResult, list[LeftOut]]:
    """The query that was asked in the end, and what came of it.

    A record that shows nearly the same frame is of the same source, patient and group, whatever the video in question
    is called: these are then excluded by name as well.
    """
    found = base.find(query, k)
    left_out = {left.id: LeftOut(**left.model_dump()) for left in found.excluded}
    kin = _names_of(base, [left.id for left in found.excluded if left.reason == NEAR_IDENTICAL])
    if kin:
        query = replace(query, exclude=(*query.exclude, *kin))
        found = base.find(query, k)
        for left in found.excluded:
            told = LeftOut(**left.model_dump())
            if left.detail in kin:
                told.detail += f", as {kin[left.detail]}, which shows nearly the same frame"
            left_out.setdefault(left.id, told)
    return query, found, list(left_out.values())


def _names_of(base: KnowledgeBase, ids: Sequence[str]) -> dict[str, str]:
    """Source, patient and group of records → the first record that has it."""
    names: dict[str, str] = {}
    for record in map(base.get, ids):
        for name in (record.source, record.patient, record.group):
            if name:
                names.setdefault(name, record.id)
    return names
