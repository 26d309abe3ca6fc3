"""What is asked of a knowledge base, and what it answers.

A record is seen in up to three views: ``text`` (cosine of its description to the question's), ``image`` (cosine of its
clips to the question's clip) and ``lexical`` (BM25 over the words of description and diagnosis). The views' ranks are
fused by weighted reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009).
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
    """How much each view counts in the fusion; a view of weight 0 is not asked.

    Pictures lead where there are any: 20 puts their order before that of the words. The defaults: knowledge/README.md.
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
        """The weight of a view."""
        return float(getattr(self, view))


@dataclass(frozen=True)
class Query:
    """A question to a knowledge base: words, a clip, or both."""

    text: str = ""
    """A description of the tissue; empty: neither the text nor the lexical view takes part."""
    image: np.ndarray | None = None
    """float32 [dimension] or [clips, dimension] by the knowledge base's own image encoder."""
    fingerprints: np.ndarray | None = None
    """uint8 [frames, FINGERPRINT_BYTES] of the clip in question: records that show nearly the same frame are left out."""
    site: str | None = None
    """Only records of this site, by any known name of it."""
    diagnosed: bool = False
    """Only records that name a diagnosis."""
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
        """The site by its own name. Raises ``InputError`` for one that is not known."""
        return canonical_site(self.site) if self.site else None


class Hit(BaseModel, frozen=True):
    """A record that was found."""

    record: InstructionRecord
    score: float
    """Mean cosine of record and question over the views that have vectors of both, by the views' weights, in [-1, 1];
    0 for a record that only its words found."""
    rank: int
    """1 for the first of the fused list."""
    ranks: dict[View, int]
    """Its rank in each view that found it."""
    scores: dict[View, float]
    """Its cosine in ``text`` and ``image``, also where that view ranks it too low to count, and its BM25 in
    ``lexical`` where that found it."""
    fused: float
    """Sum over the views of weight / (60 + rank)."""


class Excluded(BaseModel, frozen=True):
    """A record that was left out since the case could be answered with itself."""

    id: str
    source: str
    reason: Literal["source", "file", "patient", "group", "near-identical frame"]
    detail: str
    """What it shares: the name, or how many bits of the fingerprints differ."""


class SearchResult(BaseModel, frozen=True):
    """The answer to a query."""

    hits: list[Hit]
    """Best first."""
    excluded: list[Excluded]
    """Whatever their site; in the order of the records."""
    views: list[View]
    """The views that took part."""
