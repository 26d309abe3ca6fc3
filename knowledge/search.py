"""Searching one version of a knowledge base: each view ranks, the ranks are fused, what may not be seen is left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from threading import Lock

import numpy as np

from videopath.core.choices import VIEWS, StoredView, View
from videopath.knowledge.index.fingerprint import NEAR_BITS, distances
from videopath.knowledge.query import Excluded, Hit, Query, SearchResult, ViewWeights
from videopath.knowledge.storage.versions import OpenedVersion

_RANK_OFFSET = 60  # of reciprocal rank fusion, as in its paper
VIEW_DEPTH = 50
"""Records of each view that are fused at least; four times as many as are asked for where that is more."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

Ranking = list[tuple[int, float]]
"""(row, score), best first."""


class Searcher:
    """What is asked again and again of one version, kept in memory. May be used from several threads."""

    def __init__(self, generation: OpenedVersion) -> None:
        self._generation = generation
        self._turn = Lock()
        self._mask_of = cache(self._mask)
        self._fingerprints = cache(generation.store.fingerprints)

    def find(
        self, query: Query, text_vector: np.ndarray | None, k: int, weights: ViewWeights
    ) -> SearchResult:
        """The ``k`` best records; ``text_vector``: the query's text, float32 [dimension]."""
        site = query.canonical_site
        excluded = self._excluded(query)
        allowed = self._allowed(site, query.diagnosed, excluded)
        depth = max(VIEW_DEPTH, 4 * k)
        questions: dict[StoredView, np.ndarray] = {}
        if text_vector is not None and weights.text:
            questions["text"] = text_vector
        if query.image is not None and weights.image and self._generation.parts.get("image"):
            questions["image"] = np.atleast_2d(np.asarray(query.image, np.float32))
        rankings: dict[View, Ranking] = {
            view: self._nearest(view, question, depth, allowed) for view, question in questions.items()
        }
        if query.text.strip() and weights.lexical:
            rankings["lexical"] = self._by_words(query, site, depth, excluded)
        best = fused(rankings, weights)[:k]
        hits = self._hits(best, rankings, questions, weights)
        return SearchResult(
            hits=hits, excluded=self._told(excluded), views=[view for view in VIEWS if view in rankings]
        )

    def pictures(self, query: Query, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest records by their pictures: (rows int64 [m], vectors float32 [m, dimension]), all pictures of each."""
        allowed = self._allowed(query.canonical_site, query.diagnosed, self._excluded(query))
        question = np.atleast_2d(np.asarray(query.image, np.float32))
        found = [row for row, _ in self._nearest("image", question, depth, allowed)]
        return self.vectors("image", np.array(sorted(found), np.int64))

    def vectors(self, view: StoredView, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(row of each vector, vectors float32 [m, dimension]) of records, by their rows, rising."""
        found = []
        for part in self._generation.parts.get(view, []):
            places = np.flatnonzero(np.isin(part.rows, rows))
            found.append((part.rows[places], np.asarray(part.all()[places], np.float32)))
        return np.concatenate([r for r, _ in found]), np.concatenate([v for _, v in found])

    def excluded(self, query: Query) -> list[Excluded]:
        """What the query leaves out."""
        return self._told(self._excluded(query))

    def cosines(self, view: StoredView, question: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """float32 [rows]: cosine of each row's nearest vector; NaN where the view has none of it."""
        found = np.full(len(rows), np.nan, np.float32)
        for part in self._generation.parts.get(view, []):
            found = np.fmax(found, part.cosines(question, np.asarray(rows, np.int64)))
        return found

    def _allowed(self, site: str | None, diagnosed: bool, excluded: Iterable[int]) -> np.ndarray:
        with self._turn:
            mask = self._mask_of(site, diagnosed)
        rows = [row for row in excluded if row < len(mask)]
        if rows:
            mask = mask.copy()
            mask[rows] = False
        return mask

    def _mask(self, site: str | None, diagnosed: bool) -> np.ndarray:
        rows = self._generation.store.rows(site, diagnosed)
        mask = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, bool)
        mask[rows] = True
        return mask

    def _nearest(self, view: StoredView, question: np.ndarray, depth: int, allowed: np.ndarray) -> Ranking:
        found: dict[int, float] = {}
        for part in self._generation.parts[view]:
            rows, scores = part.search(question, depth, allowed)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
                found[row] = max(score, found.get(row, -2.0))
        return _ranked(found)[:depth]

    def _by_words(self, query: Query, site: str | None, depth: int, excluded: Collection[int]) -> Ranking:
        found = self._generation.store.search_words(query.text, depth + len(excluded), site, query.diagnosed)
        return [(row, score) for row, score in found if row not in excluded][:depth]

    def _hits(
        self,
        best: Ranking,
        rankings: dict[View, Ranking],
        questions: dict[StoredView, np.ndarray],
        weights: ViewWeights,
    ) -> list[Hit]:
        """The records of the fused list, with their rank and score in every view."""
        rows = [row for row, _ in best]
        places = {view: {row: at for at, (row, _) in enumerate(r, 1)} for view, r in rankings.items()}
        scores: dict[View, dict[int, float]] = {
            view: {
                row: max(-1.0, min(1.0, float(cosine)))
                for row, cosine in zip(rows, self.cosines(view, question, rows), strict=True)
                if not np.isnan(cosine)
            }
            for view, question in questions.items()
        }
        if "lexical" in rankings:
            scores["lexical"] = dict(rankings["lexical"])
        records = self._generation.store.at(rows)
        return [
            Hit(
                record=record,
                score=_mean_cosine({v: scores[v][row] for v in questions if row in scores[v]}, weights),
                rank=rank,
                ranks={view: places[view][row] for view in VIEWS if row in places.get(view, {})},
                scores={view: scores[view][row] for view in VIEWS if row in scores.get(view, {})},
                fused=value,
            )
            for rank, (record, (row, value)) in enumerate(zip(records, best, strict=True), start=1)
        ]

    def _excluded(self, query: Query) -> dict[int, tuple[str, str]]:
        """Row → (reason, detail) of the records that share something with the case in question."""
        store = self._generation.store
        found: dict[int, tuple[str, str]] = {}
        for name in query.exclude:
            if _SHA256.fullmatch(name):
                found |= {row: ("file", name) for row in store.rows_of_file(name) if row not in found}
            for reason, rows in (
                ("source", store.rows_of_source(name)),
                ("patient", store.rows_of_patient(name)),
                ("group", store.rows_of_group(name)),
            ):
                found |= {row: (reason, name) for row in rows if row not in found}
        if query.fingerprints is not None and len(query.fingerprints):
            for row, bits in self._near_frames(query.fingerprints):
                found.setdefault(row, ("near-identical frame", f"{bits} bits differ"))
        return dict(sorted(found.items()))

    def _near_frames(self, question: np.ndarray) -> list[tuple[int, int]]:
        """(row, least number of differing bits) of the records that show nearly the same frame."""
        with self._turn:
            rows, known = self._fingerprints()
        if not len(known):
            return []
        bits = distances(question, known)
        near = np.flatnonzero(bits <= NEAR_BITS)
        least: dict[int, int] = {}
        for row, count in zip(rows[near].tolist(), bits[near].tolist(), strict=True):
            least[row] = min(count, least.get(row, count))
        return list(least.items())

    def _told(self, excluded: dict[int, tuple[str, str]]) -> list[Excluded]:
        records = self._generation.store.at(list(excluded))
        return [
            Excluded.model_validate(
                {"id": record.id, "source": record.source, "reason": reason, "detail": detail}
            )
            for record, (reason, detail) in zip(records, excluded.values(), strict=True)
        ]


def fused(rankings: dict[View, Ranking], weights: ViewWeights) -> Ranking:
    """(row, sum over the views of weight / (60 + rank)), best first; equal ones in the order of the rows."""
    total: dict[int, float] = {}
    for view, ranking in rankings.items():
        for rank, (row, _) in enumerate(ranking, start=1):
            total[row] = total.get(row, 0.0) + weights.of(view) / (_RANK_OFFSET + rank)
    return _ranked(total)


def _ranked(scores: dict[int, float]) -> Ranking:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


def _mean_cosine(cosines: dict[StoredView, float], weights: ViewWeights) -> float:
    total = sum(weights.of(view) for view in cosines)
    return sum(weights.of(view) * cosine for view, cosine in cosines.items()) / total if total else 0.0
