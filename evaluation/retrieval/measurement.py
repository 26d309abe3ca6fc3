"""Measure retrieval: each question is asked of each view alone and of their fusion, with and without exclusion.

A record is relevant by diagnosis or by site if it has that of the question. Records of the question's own patient, slide or field are
excluded by name, as the agent does. Without exclusion the same questions show how much such a leak would seem to be worth. Metrics and
intervals: :mod:`videopath.evaluation.retrieval.ranking`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING, Literal

import numpy as np

from videopath.core.choices import VIEWS, View
from videopath.core.errors import InputError
from videopath.evaluation.retrieval.ranking import DEPTH, METRICS, Ranked, differences, figures, judged
from videopath.evaluation.stats.estimates import Estimate, Share
from videopath.knowledge.query import Query, ViewWeights
from videopath.knowledge.search import VIEW_DEPTH, fuse_rankings

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase, KnowledgeInfo

Relevance = Literal["diagnosis", "site"]

FUSED = "fused"
FITTED = "fitted"
_CHOSEN_BY = "ndcg@10"
_TRIED: dict[View, tuple[float, ...]] = {
    "text": (0.0, 1.0),
    "image": (0.0, 0.5, 1.0, 2.0, 20.0),
    "lexical": (0.0, 0.25, 0.5, 1.0, 2.0),
}


@dataclass(frozen=True)
class Member:
    """Facts of a record of the searched knowledge base."""

    diagnosis: str
    """Diagnosis, or the family of diagnoses that counts as the same."""
    site: str | None
    cluster: str
    """Patient, slide or field."""


@dataclass(frozen=True)
class Question:
    """A case for which similar ones are searched."""

    id: str
    cluster: str
    diagnosis: str
    site: str | None
    text: str
    """Description, made without the site."""
    text_at_site: str
    """Description, made with the site; the same if no site was given."""
    own: tuple[str, ...]
    """Names by which its own records are excluded."""
    asks: str | None = None
    """The record that is the question itself. It is never an answer."""
    image: np.ndarray | None = field(default=None, repr=False)
    """float32 [clips, dimension]."""
    fingerprints: np.ndarray | None = field(default=None, repr=False)
    """uint8 [frames, FINGERPRINT_BYTES], every frame in eight orientations."""


@dataclass(frozen=True)
class RetrievalSet:
    """A knowledge base and the questions to it."""

    name: str
    base: KnowledgeBase
    members: dict[str, Member]
    """Record id → facts."""
    questions: list[Question]
    known: dict[tuple[object, ...], list[str]] = field(default_factory=dict, repr=False)
    """(question, view, way of asking) → ids that the view found."""

    @cached_property
    def names(self) -> list[str]:
        """Ids of the records, in order."""
        return [record.id for record in self.base]

    @cached_property
    def places(self) -> dict[str, int]:
        """Id → index in that order."""
        return {name: index for index, name in enumerate(self.names)}


@dataclass(frozen=True)
class Way:
    """How the questions are asked."""

    site_given: bool
    """Whether the site filters the records and was given to the model for its description."""
    excluded: bool
    """Whether the question's own patient, slide or field is excluded."""


WAYS = (Way(False, True), Way(True, True), Way(False, False), Way(True, False))


@dataclass(frozen=True)
class Row:
    """The figures of one view or the fusion, asked in one way."""

    system: str
    """A view, several joined by "+", :data:`FUSED` or :data:`FITTED`."""
    weights: ViewWeights
    way: Way
    relevance: Relevance
    figures: dict[str, Estimate]
    by_diagnosis: dict[str, float]
    """Diagnosis of the question → mean nDCG@10."""


@dataclass(frozen=True)
class Difference:
    """The difference of two systems on the same questions."""

    system: str
    less: str
    way: Way
    relevance: Relevance
    figures: dict[str, Estimate]


@dataclass(frozen=True)
class Leak:
    """How often the question's own patient, slide or field is among the first ten of the fused list."""

    without: Share
    by_frames: Share | None
    """The share if only nearly identical frames are excluded; None if the questions have no frames."""
    by_names: Share


@dataclass(frozen=True)
class Fit:
    """What each setting of the weights reaches on the side that is not reported."""

    grid: list[tuple[ViewWeights, float, float]]
    """(weights, nDCG@10 by diagnosis without the site, the same with it), best first."""
    chosen: ViewWeights
    questions: int


@dataclass(frozen=True)
class RetrievalSummary:
    """All figures of one set."""

    name: str
    knowledge: KnowledgeInfo
    questions: int
    clusters: int
    rows: list[Row]
    differences: list[Difference]
    leak: Leak
    fit: Fit | None

    def to_json(self) -> dict[str, object]:
        """Return plain JSON."""
        plain = {name: value for name, value in asdict(self).items() if name != "knowledge"}
        return {**plain, "metrics": list(METRICS), "knowledge": self.knowledge.model_dump(mode="json")}


def evaluate_retrieval(
    retrieval_set: RetrievalSet, fit: Fit | None = None
) -> Iterator[tuple[Row, dict[str, Ranked]]]:
    """Return each row with the values of its questions, one by one.

    Raises:
        InputError: There is no question.
    """
    if not retrieval_set.questions:
        raise InputError(
            f"No question of {retrieval_set.name} is on this side of the split. Use more of the data."
        )
    for way in WAYS:
        for system, weights in systems(retrieval_set, fit).items():
            rankings = {
                question.id: names_found(retrieval_set, question, weights, way)
                for question in _ways(retrieval_set, way)
            }
            for relevance in _relevances(way):
                ranked = _judged(retrieval_set, rankings, way, relevance)
                if ranked:
                    yield (
                        Row(
                            system,
                            weights,
                            way,
                            relevance,
                            figures(ranked),
                            _by_diagnosis(retrieval_set, ranked),
                        ),
                        ranked,
                    )


def summarise_retrieval(
    retrieval_set: RetrievalSet, rows: Sequence[tuple[Row, dict[str, Ranked]]], fit: Fit | None = None
) -> RetrievalSummary:
    """Return the figures with their differences: the fusion less every other system, the fitted one less the fusion."""
    return RetrievalSummary(
        name=retrieval_set.name,
        knowledge=retrieval_set.base.info(),
        questions=len(retrieval_set.questions),
        clusters=len({question.cluster for question in retrieval_set.questions}),
        rows=[row for row, _ in rows],
        differences=list(_differences(rows)),
        leak=leak(retrieval_set),
        fit=fit,
    )


def systems(retrieval_set: RetrievalSet, fit: Fit | None = None) -> dict[str, ViewWeights]:
    """Return the compared systems: each view, the default fusion, the fusion without each view, and the fitted one."""
    views = views_of(retrieval_set)
    compared = {"+".join(some): usual_weights(some) for some in _parts(views)}
    compared[FUSED] = usual_weights(views)
    if fit:
        compared[FITTED] = fit.chosen
    return compared


def usual_weights(views: Sequence[View]) -> ViewWeights:
    """Return the default weights of these views; 1 each if all of them are 0 by default."""
    usual = {view: ViewWeights().of(view) for view in views}
    return _weights(usual if any(usual.values()) else dict.fromkeys(views, 1.0))


def views_of(retrieval_set: RetrievalSet) -> list[View]:
    """Return the views in which the questions can be asked."""
    images = retrieval_set.base.image_encoder is not None and all(
        q.image is not None for q in retrieval_set.questions
    )
    return [view for view in VIEWS if view != "image" or images]


def names_found(retrieval_set: RetrievalSet, question: Question, weights: ViewWeights, way: Way) -> list[str]:
    """Return the ids of the first ten records, best first."""
    query = Query(
        text=question.text_at_site if way.site_given else question.text,
        image=question.image,
        site=question.site if way.site_given else None,
        exclude=question.own if way.excluded else (),
    )
    return _others_found(retrieval_set, question, query, weights)


def fit_weights(retrieval_set: RetrievalSet) -> Iterator[tuple[ViewWeights, float, float]]:
    """Return (weights, nDCG@10 by diagnosis without the site, the same with it) for a small grid of weights."""
    views = views_of(retrieval_set)
    seen: set[tuple[float, ...]] = set()
    for values in product(*(_TRIED[view] for view in views)):
        largest = max(values)
        scaled = tuple(value / largest for value in values) if largest else ()
        if scaled and scaled not in seen:  # weights that are multiples of each other give the same ranks
            seen.add(scaled)
            weights = _weights(dict(zip(views, values, strict=True)))
            without, given = (_mean_ndcg(retrieval_set, weights, way) for way in WAYS[:2])
            yield weights, without, given


def chosen_weights(grid: Iterable[tuple[ViewWeights, float, float]], questions: int) -> Fit:
    """Return the best weights of a grid by nDCG@10 without the site. On ties fewer views win."""
    ordered = sorted(grid, key=lambda row: (-round(row[1], 9), sum(row[0].of(view) > 0 for view in VIEWS)))
    if not ordered:
        raise InputError("No weights were tried, since the questions have neither texts nor clips.")
    return Fit(grid=ordered, chosen=ordered[0][0], questions=questions)


def leak(retrieval_set: RetrievalSet) -> Leak:
    """Return how often a question's own records are among the first ten, by what is excluded."""
    weights = usual_weights(views_of(retrieval_set))
    framed = all(question.fingerprints is not None for question in retrieval_set.questions)
    return Leak(
        without=_own_found(retrieval_set, weights, by_name=False, by_frame=False),
        by_frames=_own_found(retrieval_set, weights, by_name=False, by_frame=True) if framed else None,
        by_names=_own_found(retrieval_set, weights, by_name=True, by_frame=False),
    )


def _own_found(retrieval_set: RetrievalSet, weights: ViewWeights, *, by_name: bool, by_frame: bool) -> Share:
    ids = []
    for question in retrieval_set.questions:
        query = Query(
            text=question.text,
            image=question.image,
            fingerprints=question.fingerprints if by_frame else None,
            exclude=question.own if by_name else (),
        )
        names = _others_found(retrieval_set, question, query, weights)
        ids.append(any(retrieval_set.members[name].cluster == question.cluster for name in names))
    return Share.of(ids)


def _others_found(
    retrieval_set: RetrievalSet, question: Question, query: Query, weights: ViewWeights
) -> list[str]:
    """Return the ids of the first ten records without the question's own: the same as ``KnowledgeBase.find``, view by view.

    The same questions are asked with many weights, so the hits of each view are cached.
    """
    rankings = {
        view: [(retrieval_set.places[name], 0.0) for name in _found_by(retrieval_set, question, query, view)]
        for view in views_of(retrieval_set)
        if weights.of(view)
    }
    names = [retrieval_set.names[key] for key, _ in fuse_rankings(rankings, weights)]
    return [name for name in names[: DEPTH + (question.asks is not None)] if name != question.asks][:DEPTH]


def _found_by(retrieval_set: RetrievalSet, question: Question, query: Query, view: View) -> list[str]:
    """Return the ids that one view finds, as deep as the fusion looks."""
    key = (question.id, query.text, query.site, query.exclude, query.fingerprints is not None, view)
    if key not in retrieval_set.known:
        hits = retrieval_set.base.find(query, VIEW_DEPTH, _weights({view: 1.0})).hits
        retrieval_set.known[key] = [hit.record.id for hit in hits][:VIEW_DEPTH]
    return retrieval_set.known[key]


def _weights(values: Mapping[View, float]) -> ViewWeights:
    """Return these weights, with 0 for every other view."""
    return ViewWeights(**{view: values.get(view, 0.0) for view in VIEWS})


def _parts(views: Sequence[View]) -> Iterator[tuple[View, ...]]:
    """Return each view alone, then any two of three."""
    for count in range(1, len(views)):
        yield from combinations(views, count)


def _ways(retrieval_set: RetrievalSet, way: Way) -> list[Question]:
    """Return the questions that can be asked in this way: with the site, only those that have one."""
    return [question for question in retrieval_set.questions if question.site or not way.site_given]


def _relevances(way: Way) -> tuple[Relevance, ...]:
    """Return the kinds of relevance. With the site given, every record has the same site."""
    return ("diagnosis",) if way.site_given else ("diagnosis", "site")


def _judged(
    retrieval_set: RetrievalSet, rankings: dict[str, list[str]], way: Way, relevance: Relevance
) -> dict[str, Ranked]:
    """Return the values of questions that can be answered both rightly and wrongly.

    With the site given, sites with a single diagnosis are left out: every answer would be right.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    rivals: dict[str | None, set[str]] = defaultdict(set)
    for name, member in retrieval_set.members.items():
        by_key[_key(member, way, relevance)].append(name)
        rivals[member.site].add(member.diagnosis)
    by_key.pop("", None)
    relevant = {
        question.id: [
            name
            for name in by_key.get(_key(question, way, relevance), [])
            if name != question.asks
            and not (way.excluded and retrieval_set.members[name].cluster == question.cluster)
        ]
        for question in retrieval_set.questions
        if question.id in rankings and not (way.site_given and len(rivals[question.site]) < 2)
    }
    clusters = {question.id: question.cluster for question in retrieval_set.questions}
    return judged({name: rankings[name] for name in relevant}, relevant, clusters)


def _key(one: Member | Question, way: Way, relevance: Relevance) -> str:
    """Return what a question and its relevant records share; empty: no record is relevant."""
    if relevance == "site":
        return one.site or ""
    return f"{one.site}: {one.diagnosis}" if way.site_given and one.diagnosis else one.diagnosis


def _mean_ndcg(retrieval_set: RetrievalSet, weights: ViewWeights, way: Way) -> float:
    rankings = {
        question.id: names_found(retrieval_set, question, weights, way)
        for question in _ways(retrieval_set, way)
    }
    ranked = _judged(retrieval_set, rankings, way, "diagnosis")
    return float(np.mean([one.values[_CHOSEN_BY] for one in ranked.values()])) if ranked else 0.0


def _by_diagnosis(retrieval_set: RetrievalSet, ranked: dict[str, Ranked]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for question in retrieval_set.questions:
        if question.id in ranked:
            values.setdefault(question.diagnosis, []).append(ranked[question.id].values[_CHOSEN_BY])
    return {diagnosis: float(np.mean(of_it)) for diagnosis, of_it in sorted(values.items())}


def _differences(rows: Sequence[tuple[Row, dict[str, Ranked]]]) -> Iterator[Difference]:
    fused = {(row.way, row.relevance): ranked for row, ranked in rows if row.system == FUSED}
    for row, ranked in rows:
        key = (row.way, row.relevance)
        if row.system == FITTED:
            yield Difference(FITTED, FUSED, *key, differences(ranked, fused[key]))
        elif row.system != FUSED:
            yield Difference(FUSED, row.system, *key, differences(fused[key], ranked))
