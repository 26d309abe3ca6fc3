"""Searching one version of a knowledge base: each view ranks, the ranks are fused, and exclusions are applied."""

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
"""How many records of each view are fused at least; if 4 ``k`` is more, 4 ``k`` records are fused."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

Ranking = list[tuple[int, float]]
"""(row, score), best first."""


class Searcher:
    """Searches one version and keeps in memory what searches share. Several threads may use it."""

    def __init__(self, version: OpenedVersion) -> None:
        self._version = version
        self._lock = Lock()
        self._mask_of = cache(self._mask)
        self._fingerprints = cache(version.store.fingerprints)

    def find(
        self, query: Query, text_vector: np.ndarray | None, k: int, weights: ViewWeights
    ) -> SearchResult:
        """Return the ``k`` best records. ``text_vector``: the vector of the query's text, float32 [dimension]."""
        site = query.canonical_site
        excluded = self._exclusions(query)
        allowed = self._allowed(site, query.diagnosed, excluded)
        depth = max(VIEW_DEPTH, 4 * k)
        vectors: dict[StoredView, np.ndarray] = {}
        if text_vector is not None and weights.text:
            vectors["text"] = text_vector
        if query.image is not None and weights.image and self._version.parts.get("image"):
            vectors["image"] = np.atleast_2d(np.asarray(query.image, np.float32))
        rankings: dict[View, Ranking] = {
            view: self._nearest(view, vector, depth, allowed) for view, vector in vectors.items()
        }
        if query.text.strip() and weights.lexical:
            rankings["lexical"] = self._by_words(query, site, depth, excluded)
        best = fuse_rankings(rankings, weights)[:k]
        hits = self._hits(best, rankings, vectors, weights)
        return SearchResult(
            hits=hits,
            excluded=self._excluded_records(excluded),
            views=[view for view in VIEWS if view in rankings],
        )

    def pictures(self, query: Query, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Return all pictures of the nearest records: (rows int64 [m], vectors float32 [m, dimension])."""
        allowed = self._allowed(query.canonical_site, query.diagnosed, self._exclusions(query))
        image = np.atleast_2d(np.asarray(query.image, np.float32))
        rows = [row for row, _ in self._nearest("image", image, depth, allowed)]
        return self.vectors("image", np.array(sorted(rows), np.int64))

    def vectors(self, view: StoredView, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of records, by their rows: (row of each vector int64 [m], vectors float32 [m, dimension])."""
        kept_rows, kept_vectors = [], []
        for part in self._version.parts.get(view, []):
            indices = np.flatnonzero(np.isin(part.rows, rows))
            kept_rows.append(part.rows[indices])
            kept_vectors.append(np.asarray(part.all()[indices], np.float32))
        return np.concatenate(kept_rows), np.concatenate(kept_vectors)

    def excluded(self, query: Query) -> list[Excluded]:
        """Return the records that the query excludes."""
        return self._excluded_records(self._exclusions(query))

    def cosines(self, view: StoredView, query_vectors: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Return the cosine of each row's nearest vector: float32 [rows], NaN if the view has no vector of the row."""
        cosines = np.full(len(rows), np.nan, np.float32)
        for part in self._version.parts.get(view, []):
            cosines = np.fmax(cosines, part.cosines(query_vectors, np.asarray(rows, np.int64)))
        return cosines

    def _allowed(self, site: str | None, diagnosed: bool, excluded: Iterable[int]) -> np.ndarray:
        with self._lock:
            mask = self._mask_of(site, diagnosed)
        rows = [row for row in excluded if row < len(mask)]
        if rows:
            mask = mask.copy()
            mask[rows] = False
        return mask

    def _mask(self, site: str | None, diagnosed: bool) -> np.ndarray:
        rows = self._version.store.rows(site, diagnosed)
        mask = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, bool)
        mask[rows] = True
        return mask

    def _nearest(
        self, view: StoredView, query_vectors: np.ndarray, depth: int, allowed: np.ndarray
    ) -> Ranking:
        best: dict[int, float] = {}
        for part in self._version.parts[view]:
            rows, scores = part.search(query_vectors, depth, allowed)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
                best[row] = max(score, best.get(row, -2.0))
        return _ranked(best)[:depth]

    def _by_words(self, query: Query, site: str | None, depth: int, excluded: Collection[int]) -> Ranking:
        ranking = self._version.store.search_words(query.text, depth + len(excluded), site, query.diagnosed)
        return [(row, score) for row, score in ranking if row not in excluded][:depth]

    def _hits(
        self,
        best: Ranking,
        rankings: dict[View, Ranking],
        vectors: dict[StoredView, np.ndarray],
        weights: ViewWeights,
    ) -> list[Hit]:
        """Return the records of the fused list with their rank and score in every view."""
        rows = [row for row, _ in best]
        ranks = {view: {row: rank for rank, (row, _) in enumerate(r, 1)} for view, r in rankings.items()}
        scores: dict[View, dict[int, float]] = {
            view: {
                row: max(-1.0, min(1.0, float(cosine)))
                for row, cosine in zip(rows, self.cosines(view, vector, rows), strict=True)
                if not np.isnan(cosine)
            }
            for view, vector in vectors.items()
        }
        if "lexical" in rankings:
            scores["lexical"] = dict(rankings["lexical"])
        records = self._version.store.at(rows)
        return [
            Hit(
                record=record,
                score=_mean_cosine({v: scores[v][row] for v in vectors if row in scores[v]}, weights),
                rank=rank,
                ranks={view: ranks[view][row] for view in VIEWS if row in ranks.get(view, {})},
                scores={view: scores[view][row] for view in VIEWS if row in scores.get(view, {})},
                fused=value,
            )
            for rank, (record, (row, value)) in enumerate(zip(records, best, strict=True), start=1)
        ]

    def _exclusions(self, query: Query) -> dict[int, tuple[str, str]]:
        """Return row → (reason, detail) of the records that share something with the query's case."""
        store = self._version.store
        exclusions: dict[int, tuple[str, str]] = {}
        for name in query.exclude:
            if _SHA256.fullmatch(name):
                exclusions |= {
                    row: ("file", name) for row in store.rows_of_file(name) if row not in exclusions
                }
            for reason, rows in (
                ("source", store.rows_of_source(name)),
                ("patient", store.rows_of_patient(name)),
                ("group", store.rows_of_group(name)),
            ):
                exclusions |= {row: (reason, name) for row in rows if row not in exclusions}
        if query.fingerprints is not None and len(query.fingerprints):
            for row, bits in self._near_frames(query.fingerprints):
                exclusions.setdefault(row, ("near-identical frame", f"{bits} bits differ"))
        return dict(sorted(exclusions.items()))

    def _near_frames(self, fingerprints: np.ndarray) -> list[tuple[int, int]]:
        """Return (row, least number of differing bits) of the records that show nearly the same frame."""
        with self._lock:
            rows, known = self._fingerprints()
        if not len(known):
            return []
        bits = distances(fingerprints, known)
        near = np.flatnonzero(bits <= NEAR_BITS)
        least: dict[int, int] = {}
        for row, count in zip(rows[near].tolist(), bits[near].tolist(), strict=True):
            least[row] = min(count, least.get(row, count))
        return list(least.items())

    def _excluded_records(self, excluded: dict[int, tuple[str, str]]) -> list[Excluded]:
        records = self._version.store.at(list(excluded))
        return [
            Excluded.model_validate(
                {"id": record.id, "source": record.source, "reason": reason, "detail": detail}
            )
            for record, (reason, detail) in zip(records, excluded.values(), strict=True)
        ]


def fuse_rankings(rankings: dict[View, Ranking], weights: ViewWeights) -> Ranking:
    """Fuse rankings by weighted reciprocal rank: (row, sum over the views of weight / (60 + rank)), best first.

    Rows with equal sums stay in the order of the rows.
    """
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
