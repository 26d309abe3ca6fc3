"""The query of a knowledge base and its result.

A record has up to three views: ``text`` (cosine of its description to the query's text), ``image`` (cosine of its clips
to the query's clip) and ``lexical`` (BM25 over the words of description and diagnosis). The ranks of the views are fused
by weighted reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel

from videopath.core.choices import VIEWS, View
from videopath.core.errors import InputError
from videopath.core.pathology.sites import canonical_site
from videopath.core.text import has_half_characters
from videopath.knowledge.records.record import InstructionRecord

_LONGEST_TEXT = 100_000  # characters


@dataclass(frozen=True)
class ViewWeights:
    """How much each view counts in the fusion. A view of weight 0 is not searched.

    If there are pictures, they lead: weight 20 puts their order before that of the words. docs/reference/figures.md has the
    measurements behind the defaults.
    """

    text: float = 1.0
    image: float = 20.0
    lexical: float = 0.5

    def __post_init__(self) -> None:
        values = [self.of(view) for view in VIEWS]
        if not all(0 <= value < float("inf") for value in values) or not any(values):
            raise InputError(
                f"The views' weights {values} cannot be used: give numbers of 0 or more, one above 0."
            )

    def of(self, view: View) -> float:
        """Return the weight of a view."""
        return float(getattr(self, view))


@dataclass(frozen=True)
class Query:
    """What to search for: a text, a clip, or both."""

    text: str = ""
    """A description of the tissue. If it is empty, the text and lexical views do not take part."""
    image: np.ndarray | None = None
    """float32 [dimension] or [clips, dimension], by the encoder of the image view."""
    fingerprints: np.ndarray | None = None
    """uint8 [frames, FINGERPRINT_BYTES] of the clip: records that show nearly the same frame are excluded."""
    site: str | None = None
    """Search only records of this site, by any known name of it."""
    diagnosed: bool = False
    """Search only records that name a diagnosis."""
    exclude: tuple[str, ...] = ()
    """Files, source videos, slides, SHA-256 of files, patients or groups whose records are never returned."""

    def __post_init__(self) -> None:
        if not self.text.strip() and self.image is None:
            raise InputError("The search text is empty; give a description of the tissue.")
        if has_half_characters(self.text):
            raise InputError("The search text has a character that is not valid; leave it out.")
        if len(self.text) > _LONGEST_TEXT:
            raise InputError(f"The search text is longer than {_LONGEST_TEXT:,} characters; shorten it.")

    @property
    def canonical_site(self) -> str | None:
        """The canonical name of the site. Raises ``InputError`` if the site is not known."""
        return canonical_site(self.site) if self.site else None


class Hit(BaseModel, frozen=True):
    """A record that the search found."""

    record: InstructionRecord
    score: float
    """Weighted mean over the text and image views of the cosine to the query, in [-1, 1]; 0 if only the lexical view
    found the record."""
    rank: int
    """Rank in the fused list; 1 is the best."""
    ranks: dict[View, int]
    """The rank in each view that found the record."""
    scores: dict[View, float]
    """The cosine in ``text`` and ``image``, even if the view ranks the record too low to count, and BM25 in ``lexical``
    if that view found the record."""
    fused: float
    """Sum over the views of weight / (60 + rank)."""


class Excluded(BaseModel, frozen=True):
    """A record that was excluded, since the case could be answered with itself."""

    id: str
    source: str
    reason: Literal["source", "file", "patient", "group", "near-identical frame"]
    detail: str
    """The shared name, or how many bits of the fingerprints differ."""


class SearchResult(BaseModel, frozen=True):
    """The result of a query."""

    hits: list[Hit]
    """Best first."""
    excluded: list[Excluded]
    """The excluded records of all sites, in the order of the records."""
    views: list[View]
    """The views that took part."""
