"""Find cases that are alike by what is said and by what is seen, and choose those that become evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from videopath.core.errors import InputError
from videopath.tools.base import TissueTool
from videopath.tools.context import ContextRules, neighbours_of
from videopath.tools.schemas import ClipInput, LeftOut, RetrieveResult, SiteInput
from videopath.tools.sessions import Recording, SessionPool, pool_of

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge import Found, KnowledgeBase, Query

_DEEPER = 4  # times as many are looked at as may be kept: behind many of one diagnosis a rival may stand
_TOLD = 20  # records that may not be seen, by name; more are counted


class RetrieveInput(SiteInput):
    """What ``retrieve_similar_cases`` needs."""

    description: str = Field(description="histological findings to look for")
    exclude_sources: list[str] = Field(
        default_factory=list,
        description="path and SHA-256 of the video in question, its slide, patient or group: "
        "records of the same are never returned",
    )
    k: int = Field(5, ge=1, le=100, description="how many cases to look at")
    clip: ClipInput | None = Field(
        None, description="the clip in question: cases that look like it are found, copies of it left out"
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
        """The knowledge base, opened now if it was not yet."""
        if self.knowledge is None or isinstance(self.knowledge, str | Path):
            from videopath.knowledge import KnowledgeBase

            self.knowledge = (
                KnowledgeBase.open(Path(self.knowledge)) if self.knowledge else KnowledgeBase.starter()
            )
        return self.knowledge

    def provenance(self) -> dict[str, str]:
        """Hashes and version of what was searched; empty as long as nothing was."""
        if self.knowledge is None or isinstance(self.knowledge, str | Path):
            return {}
        info = self.knowledge.info()
        found = {"index": info.index_sha256, "data": info.data_sha256, "embedder": info.embedder.sha256}
        encoder = {"image_encoder": info.image_encoder.sha256} if info.image_encoder else {}
        return {**found, **encoder, "version": str(info.version)}

    def _run(
        self,
        description: str,
        site: str | None = None,
        exclude_sources: list[str] | None = None,
        k: int = 5,
        clip: ClipInput | None = None,
    ) -> RetrieveResult:
        from videopath.knowledge import Query

        base = self.open()
        notes: list[str] = []
        image = prints = None
        if clip is not None and self.sessions is not None and base.image_encoder is not None:
            image, prints, notes = self._seen(base, clip)
        if not description.strip() and image is None:
            return RetrieveResult(query=description, neighbours=[], notes=notes)
        query = Query(
            description,
            image=image,
            fingerprints=prints,
            site=site,
            diagnosed=True,
            exclude=tuple(exclude_sources or ()),
        )
        found = _found(base, query, k)
        return RetrieveResult(
            query=description,
            neighbours=neighbours_of(found.hits, site, k, self.rules),
            index_sha256=base.info().index_sha256,
            views=list(found.views),
            notes=notes,
            excluded=[LeftOut(**excluded.model_dump()) for excluded in found.excluded[:_TOLD]],
            excluded_count=len(found.excluded),
        )

    def _seen(self, base: KnowledgeBase, clip: ClipInput) -> tuple[np.ndarray | None, np.ndarray, list[str]]:
        """The clip's vector by the encoder of the base's pictures, its fingerprints, and why there is no vector."""
        from videopath.knowledge.fingerprint import turned_fingerprints
        from videopath.model.tower import tower_sha256
        from videopath.tools.seeing import TOWER, clip_vector, load_frame_encoder

        mark, sessions = base.image_encoder, self.sessions
        assert mark is not None
        assert sessions is not None
        pool = sessions.pool if isinstance(sessions, Recording) else sessions
        prints = turned_fingerprints(pool.clip(clip).frames)
        if mark.sha256 == tower_sha256(sessions.info):
            return clip_vector(sessions.open(clip).frame_vectors()), prints, []
        note = (
            f"Pictures were not compared: those of the knowledge base were encoded by {mark.name} "
            f"({mark.sha256[:12]}…)"
        )
        if mark.name.startswith(TOWER):
            return None, prints, [f"{note}, which is not the tower of {sessions.info.name}."]
        try:
            encoder = load_frame_encoder(mark.name)
        except InputError as error:
            return None, prints, [f"{note}. {error}"]
        if encoder.sha256 != mark.sha256:
            return None, prints, [f"{note}; the {mark.name} that is installed has other weights."]
        return clip_vector(encoder.encode(pool.clip(clip).frames)), prints, []


def _found(base: KnowledgeBase, query: Query, k: int) -> Found:
    """The nearest of the site; where it has fewer than ``k``, the nearest of other sites, to be shown as dropped."""
    from dataclasses import replace

    found = base.find(query, _DEEPER * k)
    if query.site and len(found.hits) < k:
        anywhere = base.find(replace(query, site=None), k)
        seen = {hit.record.id for hit in found.hits}
        others = [hit for hit in anywhere.hits if hit.record.id not in seen][: k - len(found.hits)]
        return found.model_copy(update={"hits": [*found.hits, *others]})
    return found
