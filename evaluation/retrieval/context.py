"""What the rules of the context are worth: the evidence that they choose, and that without each of them.

The questions of :mod:`videopath.evaluation.retrieval.measurement` are asked as the agent asks, with their site and without
their own patient, slide or field. Of what is found the rules choose the evidence; it is judged twice: against the true
diagnosis, and, with every record of the true diagnosis hidden, by how much that must be wrong is still shown.
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
"""Pieces of evidence at most, as the agent's policy has it."""

METRICS = ("right", "most right", "present", "wrong, hidden")
"""Of a question's evidence, each in [0, 1]:

- ``right``: share with the true diagnosis; 0 where there is no evidence.
- ``most right``: whether the true diagnosis has the largest part of it; of equal parts the best fitting record decides.
- ``present``: whether any of it has the true diagnosis.
- ``wrong, hidden``: evidence over :data:`MOST` when no record of the true diagnosis can be found; less is better.
"""

RULES_OFF: dict[str, dict[str, float]] = {
    "": {},
    "no least": {"least": 0},
    "no ratio": {"ratio": 0},
    "no gap": {"gap": 1},
    "no copies": {"copy_words": 1.01},
    "no rival": {"rival": 1.01},
}
"""The rule of the context that is switched off → the values that do it; the first is the default, all of them on."""

_ALL_OFF = {name: value for off in RULES_OFF.values() for name, value in off.items()}
_HIDDEN_DEPTH = 1000  # records that are looked through for those of another diagnosis


@dataclass(frozen=True)
class ContextRow:
    """The evidence under one setting of the rules."""

    setting: str
    """One of :data:`RULES_OFF`, or "no rule"."""
    figures: dict[str, Estimate]
    kept: float
    """Mean number of pieces of evidence."""
    gained: dict[str, Estimate] | None
    """The default less this setting, question by question; none for the default itself."""


@dataclass(frozen=True)
class Candidates:
    """A question and the records that its evidence is chosen from."""

    question: Question
    hits: list[Hit]
    hidden: list[Hit]
    """The same were there no record of the true diagnosis."""


def candidates(asked: RetrievalSet) -> Iterator[Candidates]:
    """What is found for each question that has a site and a diagnosis, one by one: the searches take the time."""
    return (
        _candidates(asked, question) for question in asked.questions if question.site and question.diagnosis
    )


def context_rows(asked: RetrievalSet, found: Sequence[Candidates]) -> list[ContextRow]:
    """A row for the default, for each rule switched off and for all of them; empty where nothing was asked."""
    judged: dict[str, dict[str, Ranked]] = {}
    kept: dict[str, float] = {}
    for name, off in {**RULES_OFF, "no rule": _ALL_OFF}.items() if found else ():
        rules = ContextRules(**off)
        chosen = {one.question.id: _evidence(one.hits, one.question, rules) for one in found}
        judged[name] = {
            one.question.id: _judged(
                asked, one, chosen[one.question.id], len(_evidence(one.hidden, one.question, rules))
            )
            for one in found
        }
        kept[name] = sum(map(len, chosen.values())) / len(chosen)
    return [
        ContextRow(
            setting=name,
            figures=figures(ranked, METRICS),
            kept=kept[name],
            gained=differences(judged[""], ranked, METRICS) if name else None,
        )
        for name, ranked in judged.items()
    ]


def _candidates(asked: RetrievalSet, question: Question) -> Candidates:
    query = Query(
        text=question.text_at_site,
        image=question.image,
        site=question.site,
        diagnosed=True,
        exclude=question.own,
    )
    found = asked.base.find(query, _HIDDEN_DEPTH, usual_weights(views_of(asked))).hits
    hits = [hit for hit in found if hit.record.id != question.asks]
    hidden = [hit for hit in hits if not _is_right(asked, question, hit)]
    return Candidates(question, hits[: SEARCH_DEPTH * MOST], hidden[: SEARCH_DEPTH * MOST])


def _evidence(hits: Sequence[Hit], question: Question, rules: ContextRules) -> list[Hit]:
    """The hits that the rules keep, best fitting first."""
    kept = {found.id for found in neighbours_of(hits, question.site, MOST, rules) if found.kept}
    fits = fit_of(hits, question.site)
    ordered = sorted(zip(fits, hits, strict=True), key=lambda pair: -pair[0])
    return [hit for _, hit in ordered if hit.record.id in kept]


def _judged(asked: RetrievalSet, one: Candidates, evidence: Sequence[Hit], wrong_hidden: int) -> Ranked:
    right = [_is_right(asked, one.question, hit) for hit in evidence]
    parts = Counter(asked.members[hit.record.id].diagnosis for hit in evidence)  # in the order of their best
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


def _is_right(asked: RetrievalSet, question: Question, hit: Hit) -> bool:
    return asked.members[hit.record.id].diagnosis == question.diagnosis
