"""How good retrieval is: each question asked of each view alone and of their fusion, with and without exclusion.

A record is relevant by diagnosis or by site: it has the question's own. What belongs to the question's own patient,
slide or field is excluded by its name, as the agent does; asked without exclusion, the same questions show what such
a leak would seem to be worth. Metrics and intervals: :mod:`videopath.evaluation.retrieval.ranking`.
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
    """What is known of a record of the knowledge base that is searched."""

    diagnosis: str
    """Its diagnosis, or the family of diagnoses that counts as the same."""
    site: str | None
    cluster: str
    """Its patient, slide or field."""


@dataclass(frozen=True)
class Question:
    """A case that similar ones are looked for."""

    id: str
    cluster: str
    diagnosis: str
    site: str | None
    text: str
    """Its description, made without the site."""
    text_at_site: str
    """Its description, made with the site given; the same where nobody was told of it."""
    own: tuple[str, ...]
    """Names by which its own records are excluded."""
    asks: str | None = None
    """The record that is the question itself: never an answer, whatever is excluded."""
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
    """By the record's id."""
    questions: list[Question]
    known: dict[tuple[object, ...], list[str]] = field(default_factory=dict, repr=False)
    """What each view found for a question, asked in one way."""

    @cached_property
    def names(self) -> list[str]:
        """Ids of the records, in their order."""
        return [record.id for record in self.base]

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each id stands in that order."""
        return {name: place for place, name in enumerate(self.names)}


@dataclass(frozen=True)
class Way:
    """How the questions are asked."""

    site_given: bool
    """The site filters the records, and the model was told it when it described the clip."""
    excluded: bool
    """The question's own patient, slide or field is excluded."""


WAYS = (Way(False, True), Way(True, True), Way(False, False), Way(True, False))


@dataclass(frozen=True)
class Row:
    """The figures of one way of asking one view, or the fusion."""

    system: str
    """A view, several with "+", :data:`FUSED` or :data:`FITTED`."""
    weights: ViewWeights
    way: Way
    relevance: Relevance
    figures: dict[str, Estimate]
    by_diagnosis: dict[str, float]
    """Diagnosis of the question → mean nDCG@10."""


@dataclass(frozen=True)
class Difference:
    """One system less another, on the same questions."""

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
    """Where nearly the same frames alone are excluded; none where the questions have no frames."""
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
        """Plain JSON."""
        plain = {name: value for name, value in asdict(self).items() if name != "knowledge"}
        return {**plain, "metrics": list(METRICS), "knowledge": self.knowledge.model_dump(mode="json")}


def evaluate_retrieval(
    asked: RetrievalSet, fit: Fit | None = None
) -> Iterator[tuple[Row, dict[str, Ranked]]]:
    """Each row with its questions' values, as they are known. Raises ``InputError`` where there is no question."""
    if not asked.questions:
        raise InputError(f"No question of {asked.name} is on this side of the split: use more of the data.")
    for way in WAYS:
        for system, weights in systems(asked, fit).items():
            rankings = {
                question.id: names_found(asked, question, weights, way) for question in _ways(asked, way)
            }
            for relevance in _relevances(way):
                ranked = _judged(asked, rankings, way, relevance)
                if ranked:
                    yield (
                        Row(system, weights, way, relevance, figures(ranked), _by_diagnosis(asked, ranked)),
                        ranked,
                    )


def summarise_retrieval(
    asked: RetrievalSet, rows: Sequence[tuple[Row, dict[str, Ranked]]], fit: Fit | None = None
) -> RetrievalSummary:
    """The figures with their differences: the fusion less every other system, the fitted one less the fusion."""
    return RetrievalSummary(
        name=asked.name,
        knowledge=asked.base.info(),
        questions=len(asked.questions),
        clusters=len({question.cluster for question in asked.questions}),
        rows=[row for row, _ in rows],
        differences=list(_differences(rows)),
        leak=leak(asked),
        fit=fit,
    )


def systems(asked: RetrievalSet, fit: Fit | None = None) -> dict[str, ViewWeights]:
    """What is compared: each view, the fusion by the default weights, each view left out of it, and the fitted one."""
    views = views_of(asked)
    compared = {"+".join(some): usual_weights(some) for some in _parts(views)}
    compared[FUSED] = usual_weights(views)
    if fit:
        compared[FITTED] = fit.chosen
    return compared


def usual_weights(views: Sequence[View]) -> ViewWeights:
    """The default weights of these views alone; 1 each where the default of all of them is 0."""
    usual = {view: ViewWeights().of(view) for view in views}
    return _weights(usual if any(usual.values()) else dict.fromkeys(views, 1.0))


def views_of(asked: RetrievalSet) -> list[View]:
    """The views in which the questions can be asked."""
    images = asked.base.image_encoder is not None and all(q.image is not None for q in asked.questions)
    return [view for view in VIEWS if view != "image" or images]


def names_found(asked: RetrievalSet, question: Question, weights: ViewWeights, way: Way) -> list[str]:
    """Ids of the first ten records, best first."""
    query = Query(
        text=question.text_at_site if way.site_given else question.text,
        image=question.image,
        site=question.site if way.site_given else None,
        exclude=question.own if way.excluded else (),
    )
    return _others_found(asked, question, query, weights)


def fit_weights(asked: RetrievalSet) -> Iterator[tuple[ViewWeights, float, float]]:
    """(weights, nDCG@10 by diagnosis without the site, the same with it) for a small grid of weights."""
    views = views_of(asked)
    seen: set[tuple[float, ...]] = set()
    for values in product(*(_TRIED[view] for view in views)):
        largest = max(values)
        scaled = tuple(value / largest for value in values) if largest else ()
        if scaled and scaled not in seen:  # weights that are multiples of each other rank alike
            seen.add(scaled)
            weights = _weights(dict(zip(views, values, strict=True)))
            without, given = (_mean_ndcg(asked, weights, way) for way in WAYS[:2])
            yield weights, without, given


def chosen_weights(grid: Iterable[tuple[ViewWeights, float, float]], questions: int) -> Fit:
    """The best weights of a grid by nDCG@10 without the site; of equal ones those with fewer views."""
    ordered = sorted(grid, key=lambda row: (-round(row[1], 9), sum(row[0].of(view) > 0 for view in VIEWS)))
    if not ordered:
        raise InputError("No weights were tried: the questions have neither texts nor clips.")
    return Fit(grid=ordered, chosen=ordered[0][0], questions=questions)


def leak(asked: RetrievalSet) -> Leak:
    """How often a question's own records are among the first ten, by what is excluded."""
    weights = usual_weights(views_of(asked))
    framed = all(question.fingerprints is not None for question in asked.questions)
    return Leak(
        without=_own_found(asked, weights, by_name=False, by_frame=False),
        by_frames=_own_found(asked, weights, by_name=False, by_frame=True) if framed else None,
        by_names=_own_found(asked, weights, by_name=True, by_frame=False),
    )


def _own_found(asked: RetrievalSet, weights: ViewWeights, *, by_name: bool, by_frame: bool) -> Share:
    found = []
    for question in asked.questions:
        query = Query(
            text=question.text,
            image=question.image,
            fingerprints=question.fingerprints if by_frame else None,
            exclude=question.own if by_name else (),
        )
        names = _others_found(asked, question, query, weights)
        found.append(any(asked.members[name].cluster == question.cluster for name in names))
    return Share.of(found)


def _others_found(asked: RetrievalSet, question: Question, query: Query, weights: ViewWeights) -> list[str]:
    """Ids of the first ten records but the question's own: what ``KnowledgeBase.find`` gives, view by view.

    The same questions are asked with many weights, so what each view finds is kept.
    """
    rankings = {
        view: [(asked.places[name], 0.0) for name in _found_by(asked, question, query, view)]
        for view in views_of(asked)
        if weights.of(view)
    }
    names = [asked.names[place] for place, _ in fuse_rankings(rankings, weights)]
    return [name for name in names[: DEPTH + (question.asks is not None)] if name != question.asks][:DEPTH]


def _found_by(asked: RetrievalSet, question: Question, query: Query, view: View) -> list[str]:
    """Ids of what one view finds, as deep as the fusion looks."""
    key = (question.id, query.text, query.site, query.exclude, query.fingerprints is not None, view)
    if key not in asked.known:
        hits = asked.base.find(query, VIEW_DEPTH, _weights({view: 1.0})).hits
        asked.known[key] = [hit.record.id for hit in hits][:VIEW_DEPTH]
    return asked.known[key]


def _weights(values: Mapping[View, float]) -> ViewWeights:
    """These weights, and 0 for every other view."""
    return ViewWeights(**{view: values.get(view, 0.0) for view in VIEWS})


def _parts(views: Sequence[View]) -> Iterator[tuple[View, ...]]:
    """Each view alone, then any two of three."""
    for count in range(1, len(views)):
        yield from combinations(views, count)


def _ways(asked: RetrievalSet, way: Way) -> list[Question]:
    """The questions that can be asked in this way: those with a site, where it is given."""
    return [question for question in asked.questions if question.site or not way.site_given]


def _relevances(way: Way) -> tuple[Relevance, ...]:
    """With the site given every record is of the same site."""
    return ("diagnosis",) if way.site_given else ("diagnosis", "site")


def _judged(
    asked: RetrievalSet, rankings: dict[str, list[str]], way: Way, relevance: Relevance
) -> dict[str, Ranked]:
    """Values of the questions that can be answered rightly and wrongly.

    With the site given, a site that has one diagnosis alone is left out: every answer would be right.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    rivals: dict[str | None, set[str]] = defaultdict(set)
    for name, member in asked.members.items():
        by_key[_key(member, way, relevance)].append(name)
        rivals[member.site].add(member.diagnosis)
    by_key.pop("", None)
    relevant = {
        question.id: [
            name
            for name in by_key.get(_key(question, way, relevance), [])
            if name != question.asks
            and not (way.excluded and asked.members[name].cluster == question.cluster)
        ]
        for question in asked.questions
        if question.id in rankings and not (way.site_given and len(rivals[question.site]) < 2)
    }
    clusters = {question.id: question.cluster for question in asked.questions}
    return judged({name: rankings[name] for name in relevant}, relevant, clusters)


def _key(one: Member | Question, way: Way, relevance: Relevance) -> str:
    """What a question and its relevant records have in common; empty: relevant to nothing."""
    if relevance == "site":
        return one.site or ""
    return f"{one.site}: {one.diagnosis}" if way.site_given and one.diagnosis else one.diagnosis


def _mean_ndcg(asked: RetrievalSet, weights: ViewWeights, way: Way) -> float:
    rankings = {question.id: names_found(asked, question, weights, way) for question in _ways(asked, way)}
    ranked = _judged(asked, rankings, way, "diagnosis")
    return float(np.mean([one.values[_CHOSEN_BY] for one in ranked.values()])) if ranked else 0.0


def _by_diagnosis(asked: RetrievalSet, ranked: dict[str, Ranked]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for question in asked.questions:
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
