"""Find cases that look alike, and drop those that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from videopath.tools.base import TissueTool
from videopath.tools.schemas import Neighbour, RetrieveResult, SiteInput

if TYPE_CHECKING:
    from videopath.knowledge import Hit, KnowledgeBase

SCORE_RATIO = 0.75  # of the best score: below it a neighbour distracts more than it helps
LEAST_SCORE = 0.25  # cosine; two histological descriptions that have nothing in common stay below it


class RetrieveInput(SiteInput):
    """What ``retrieve_similar_cases`` needs."""

    description: str = Field(description="histological findings to look for")
    exclude_sources: list[str] = Field(
        default_factory=list,
        description="path, source ids of the video in question: its own cases are never returned",
    )
    k: int = Field(5, ge=1, le=100, description="how many cases to look at")


class RetrieveTool(TissueTool):
    """``RetrieveTool().invoke({"description": "…"})`` gives a :class:`RetrieveResult` from the starter knowledge."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "retrieve_similar_cases"
    description: str = (
        "Find described and diagnosed cases whose histology is most like a description. "
        "Each comes with its similarity and why it was kept as evidence or dropped."
    )
    args_schema: type[BaseModel] = RetrieveInput
    knowledge: SkipValidation[Any] = Field(
        None, exclude=True, description="a KnowledgeBase or its folder; none: the bundled starter"
    )
    score_ratio: float = Field(SCORE_RATIO, ge=0, le=1)
    least_score: float = Field(LEAST_SCORE, ge=0, le=1)

    def open(self) -> KnowledgeBase:
        """The knowledge base, opened now if it was not yet."""
        if self.knowledge is None or isinstance(self.knowledge, str | Path):
            from videopath.knowledge import KnowledgeBase

            self.knowledge = (
                KnowledgeBase.open(Path(self.knowledge)) if self.knowledge else KnowledgeBase.starter()
            )
        return self.knowledge

    def provenance(self) -> dict[str, str]:
        """Hashes of what was searched; empty as long as nothing was."""
        if self.knowledge is None or isinstance(self.knowledge, str | Path):
            return {}
        info = self.knowledge.info()
        return {"index": info.index_sha256, "data": info.data_sha256, "embedder": info.embedder.sha256}

    def _run(
        self, description: str, site: str | None = None, exclude_sources: list[str] | None = None, k: int = 5
    ) -> RetrieveResult:
        own = exclude_sources or []
        if not description.strip():
            return RetrieveResult(query=description, neighbours=[])
        hits = self._search(description, k, site, own)
        best = max((hit.score for hit in hits if _same_site(hit, site)), default=0.0)
        judged = [self._judged(hit, best, site) for hit in hits]
        return RetrieveResult(
            query=description, neighbours=judged, index_sha256=self.open().info().index_sha256
        )

    def _search(self, query: str, k: int, site: str | None, own: list[str]) -> list[Hit]:
        """The k nearest of the site; where it has fewer, the nearest of other sites, to be shown as dropped."""
        base = self.open()
        near = base.search(query, k=k, site=site, exclude_source=own, diagnosed=True)
        if site and len(near) < k:
            seen = {hit.record.id for hit in near}
            anywhere = base.search(query, k=k, exclude_source=own, diagnosed=True)
            near += [hit for hit in anywhere if hit.record.id not in seen]
        return near[:k]

    def _judged(self, hit: Hit, best: float, site: str | None) -> Neighbour:
        record = hit.record
        ratio = hit.score / best if best > 0 else 0.0
        if not _same_site(hit, site):
            kept, why = False, f"from another site: {record.site}"
        elif hit.score < self.least_score:
            kept, why = False, f"too far: similarity {hit.score:.2f}, {self.least_score:.2f} is needed"
        elif ratio < self.score_ratio:
            kept, why = False, f"too far: {ratio:.2f} of the best score, {self.score_ratio:.2f} is needed"
        else:
            kept, why = True, f"fits: {ratio:.2f} of the best score"
        return Neighbour(
            id=record.id,
            source=record.source,
            site=record.site,
            diagnosis=record.diagnosis,
            description=record.description,
            score=round(float(hit.score), 6),
            kept=kept,
            why=why,
        )


def _same_site(hit: Hit, site: str | None) -> bool:
    """A record without a site fits every site."""
    return not site or not hit.record.site or hit.record.site == site
