"""Measure the rules of the context: the evidence that they choose, with and without each rule.

The questions of :mod:`videopath.evaluation.retrieval.measurement` are asked like the agent's: with their site, and without their own
patient, slide or field. The rules choose the evidence from the hits. It is judged twice: against the true diagnosis; and, with all
records of the true diagnosis hidden, by how much evidence is shown although all of it must be wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videopath.evaluation.retrieval.measurement import Question, RetrievalSet, usual_weights, views_of
from videopath.evaluation.retrieval.ranking import Ranked, differences, figures
from videopath.evaluation.stats.estimates import Estimate
from videopath.knowledge.query import Hit, Query
from videopath.tools.context import ContextRules, fit_of, neighbours_of
from videopath.tools.retrieve import SEARCH_DEPTH

MOST = 5
"""Largest number of pieces of evidence, as in the agent's policy."""

METRICS = ("right", "most right", "present", "wrong, hidden")
"""Values of a question's evidence, each in [0, 1]:

- ``right``: share with the true diagnosis; 0 without evidence.
- ``most right``: whether the true diagnosis has the largest part. On ties the best fitting record decides.
- ``present``: whether any piece has the true diagnosis.
- ``wrong, hidden``: evidence divided by :data:`MOST` when no record of the true diagnosis can be found; less is better.
"""

RULES_OFF: dict[str, dict[str, float]] = {
    "": {},
    "no least": {"least": 0},
    "no ratio": {"ratio": 0},
    "no gap": {"gap": 1},
    "no copies": {"copy_words": 1.01},
    "no rival": {"rival": 1.01},
}
"""Rule that is switched off → settings that do it. The first entry, the default, has all rules on."""

_ALL_OFF = {name: value for off in RULES_OFF.values() for name, value in off.items()}
_HIDDEN_DEPTH = 1000  # records that are searched for those of another diagnosis


@dataclass(frozen=True)
class ContextRow:
    """The evidence under one setting of the rules."""

    setting: str
    """An entry of :data:`RULES_OFF`, or "no rule"."""
    figures: dict[str, Estimate]
    kept: float
    """Mean number of pieces of evidence."""
    gained: dict[str, Estimate] | None
    """The default less this setting, question by question; None for the default itself."""


@dataclass(frozen=True)
class Candidates:
    """A question, and the records from which its evidence is chosen."""

    question: Question
    hits: list[Hit]
    hidden: list[Hit]
    """The same, with every record of the true diagnosis hidden."""


def candidates(retrieval_set: RetrievalSet) -> Iterator[Candidates]:
    """Search for each question that has a site and a diagnosis, one by one. The searches take the time."""
    return (
        _candidates(retrieval_set, question)
        for question in retrieval_set.questions
        if question.site and question.diagnosis
    )


def context_rows(retrieval_set: RetrievalSet, candidates_of: Sequence[Candidates]) -> list[ContextRow]:
    """Return a row for the default, for each rule switched off, and for all rules off; empty without questions."""
    judged: dict[str, dict[str, Ranked]] = {}
    hits: dict[str, float] = {}
    for name, off in {**RULES_OFF, "no rule": _ALL_OFF}.items() if candidates_of else ():
        rules = ContextRules(**off)
        evidence_of = {one.question.id: _evidence(one.hits, one.question, rules) for one in candidates_of}
        judged[name] = {
            one.question.id: _judged(
                retrieval_set,
                one,
                evidence_of[one.question.id],
                len(_evidence(one.hidden, one.question, rules)),
            )
            for one in candidates_of
        }
        hits[name] = sum(map(len, evidence_of.values())) / len(evidence_of)
    return [
        ContextRow(
            setting=name,
            figures=figures(ranked, METRICS),
            kept=hits[name],
            gained=differences(judged[""], ranked, METRICS) if name else None,
        )
        for name, ranked in judged.items()
    ]


def _candidates(retrieval_set: RetrievalSet, question: Question) -> Candidates:
    query = Query(
        text=question.text_at_site,
        image=question.image,
        site=question.site,
        diagnosed=True,
        exclude=question.own,
    )
    found = retrieval_set.base.find(query, _HIDDEN_DEPTH, usual_weights(views_of(retrieval_set))).hits
    hits = [hit for hit in found if hit.record.id != question.asks]
    hidden = [hit for hit in hits if not _is_right(retrieval_set, question, hit)]
    return Candidates(question, hits[: SEARCH_DEPTH * MOST], hidden[: SEARCH_DEPTH * MOST])


def _evidence(hits: Sequence[Hit], question: Question, rules: ContextRules) -> list[Hit]:
    """Return the hits that the rules keep, best fitting first."""
    kept_hits = {matches.id for matches in neighbours_of(hits, question.site, MOST, rules) if matches.kept}
    fits = fit_of(hits, question.site)
    ordered = sorted(zip(fits, hits, strict=True), key=lambda pair: -pair[0])
    return [hit for _, hit in ordered if hit.record.id in kept_hits]


def _judged(
    retrieval_set: RetrievalSet, one: Candidates, evidence: Sequence[Hit], wrong_hidden: int
) -> Ranked:
    right = [_is_right(retrieval_set, one.question, hit) for hit in evidence]
    parts = Counter(
        retrieval_set.members[hit.record.id].diagnosis for hit in evidence
    )  # ordered by their best record
    largest = parts.most_common(1)
    return Ranked(
        one.question.cluster,
        {
            "right": sum(right) / len(right) if right else 0.0,
            "most right": float(bool(largest) and largest[0][0] == one.question.diagnosis),
            "present": float(any(right)),
            "wrong, hidden": wrong_hidden / MOST,
        },
    )


def _is_right(retrieval_set: RetrievalSet, question: Question, hit: Hit) -> bool:
    return retrieval_set.members[hit.record.id].diagnosis == question.diagnosis
