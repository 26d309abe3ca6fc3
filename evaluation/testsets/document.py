"""Build the document of an evaluation from the answers of several systems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import combinations

from videopath.core.choices import ControlName, SystemName
from videopath.core.clock import now
from videopath.core.errors import InputError
from videopath.core.pathology.entities import comparable_name, entity_of
from videopath.evaluation.kept import reliability, risk_coverage
from videopath.evaluation.stats.estimates import Share
from videopath.evaluation.testsets.answers import CONFIDENCE, Answer
from videopath.evaluation.testsets.controls import MEANINGS
from videopath.evaluation.testsets.judge import Judge, Judgement
from videopath.evaluation.testsets.metrics import (
    MEASURES,
    Draws,
    MetricDraws,
    at_equal_coverage,
    draw_all,
    mcnemar,
)
from videopath.evaluation.testsets.summary import (
    NOTHING,
    OTHER,
    Comparison,
    ControlReport,
    Pair,
    PairsReport,
    SetFacts,
    SetReport,
    SystemReport,
)
from videopath.evaluation.testsets.table import Encode, Table, attribute_agreement, table
from videopath.model.inference.engine import EngineInfo


@dataclass(frozen=True)
class SystemAnswers:
    """The answers of one system, and their judgements."""

    answers: Sequence[Answer]
    judgements: Sequence[Judgement] = ()


@dataclass(frozen=True)
class ControlResults:
    """The results of the controls."""

    asked: Sequence[ControlName] = ()
    reports: Sequence[ControlReport] = ()
    pairs: Sequence[PairsReport] = ()
    nearest: Sequence[Pair] = ()


@dataclass(frozen=True)
class _Rated:
    confidence: float
    right: bool


@dataclass(frozen=True)
class _Measured:
    """A system's answers as numbers, and the draws of every metric."""

    said: SystemAnswers
    found: Table
    drawn: dict[str, MetricDraws] = field(repr=False)


def set_report(
    facts: SetFacts,
    info: EngineInfo,
    said: Mapping[SystemName, SystemAnswers],
    encode: Encode,
    judge: Judge | None = None,
    controlled: ControlResults | None = None,
) -> SetReport:
    """Build the document.

    Raises:
        InputError: The systems were not asked the same questions.
    """
    measured = _measured(said, encode)
    controlled = controlled or ControlResults()
    systems = {name for one in measured.values() for name in one.drawn}
    return SetReport(
        set=facts,
        model=info.name,
        weights_sha256=info.weights_sha256,
        version=version("videopath-agent"),
        created=now(),
        metrics=[measure.facts for measure in MEASURES if measure.facts.name in systems],
        systems=[_system(system, one, judge) for system, one in measured.items()],
        comparisons=[
            _comparison(first, second, measured, judge) for first, second in combinations(measured, 2)
        ],
        control_meanings={name: MEANINGS[name] for name in controlled.asked},
        controls=list(controlled.reports),
        pairs=list(controlled.pairs),
        nearest=list(controlled.nearest),
        cautions=[caution for system, one in measured.items() for caution in _cautions(system, one)],
    )


def set_facts(name: str, sha256: str, answers: Sequence[Answer]) -> SetFacts:
    """Return the facts of the questions, from one system's answers to all of them."""
    return SetFacts(
        name=name,
        sha256=sha256,
        questions=len(answers),
        groups=len({answer.cluster for answer in answers}),
        with_diagnosis=sum(bool(answer.truth) for answer in answers),
    )


def _measured(said: Mapping[SystemName, SystemAnswers], encode: Encode) -> dict[SystemName, _Measured]:
    tables = {system: table(one.answers, encode) for system, one in said.items()}
    first = next(iter(tables.values()))
    if any(found.ids != first.ids for found in tables.values()):
        raise InputError(
            "The systems were not asked the same questions. Let each system answer the whole set."
        )
    draws = Draws(first.clusters)
    return {
        system: _Measured(said[system], found, draw_all(found, draws)) for system, found in tables.items()
    }


def _system(system: SystemName, one: _Measured, judge: Judge | None) -> SystemReport:
    answers, found = one.said.answers, one.found
    spelt = _spelling(answers)
    sure = [
        _Rated(float(confidence), bool(right))
        for confidence, right in zip(found["confidence"], found["right"], strict=True)
        if confidence == confidence  # NaN: no confidence
    ]
    return SystemReport(
        system=system,
        answers=len(answers),
        failed=sum(bool(answer.error) for answer in answers),
        confidence=CONFIDENCE[system] if sure else "",
        figures={name: draws.estimate() for name, draws in one.drawn.items()},
        by_class=_by_class(found, spelt),
        confusion=_confusion(found, spelt),
        attributes=_attributes(answers),
        risk_coverage=risk_coverage(sure) if sure else [],
        reliability=reliability(sure) if sure else [],
        judged=judge.summary(one.said.judgements) if judge else None,
    )


def _cautions(system: SystemName, one: _Measured) -> Iterator[str]:
    """Return warnings about figures that look like measurements but are not."""
    named, failed = one.drawn.get("named"), sum(bool(answer.error) for answer in one.said.answers)
    if failed == len(one.said.answers):
        yield f"The system {system} answered none of the {failed} questions: its figures say nothing of what it sees."
    elif named and not named.values[0]:
        yield (
            f"No answer of the system {system} names a diagnosis ({named.questions} questions): "
            "its accuracy of 0 is no measure of what it sees; read its answers."
        )


def _comparison(
    system: SystemName, less: SystemName, measured: Mapping[SystemName, _Measured], judge: Judge | None
) -> Comparison:
    first, second = measured[system], measured[less]
    return Comparison(
        system=system,
        less=less,
        figures={
            name: draws.minus(second.drawn[name])
            for name, draws in first.drawn.items()
            if name in second.drawn
        },
        judged=judge.difference(first.said.judgements, second.said.judgements) if judge else {},
        accuracy=mcnemar(first.found, second.found),
        equal_coverage=at_equal_coverage(first.found, second.found),
    )


def _by_class(answers: Table, spelt: Mapping[str, str]) -> dict[str, Share]:
    hits: dict[str, list[bool]] = defaultdict(list)
    for truth, right in zip(answers.truth.tolist(), answers["right"].tolist(), strict=True):
        if truth:
            hits[truth].append(right == 1)
    return {spelt.get(truth, truth): Share.of(hits[truth]) for truth in sorted(hits)}


def _confusion(answers: Table, spelt: Mapping[str, str]) -> dict[str, dict[str, int]]:
    truths = set(answers.truth.tolist())
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for truth, answered_label in sorted(zip(answers.truth.tolist(), answers.said.tolist(), strict=True)):
        if truth:
            known = answered_label in truths or entity_of(answered_label) is not None
            labels = (
                NOTHING
                if answered_label in ("", NOTHING)
                else spelt.get(answered_label, answered_label)
                if known
                else OTHER
            )
            counts[spelt.get(truth, truth)][labels] += 1
    return {truth: dict(row) for truth, row in counts.items()}


def _spelling(answers: Sequence[Answer]) -> dict[str, str]:
    """Return diagnoses outside the table of entities → the set's spelling ("NILM" stays in capitals)."""
    return {
        comparable_name(answer.truth): answer.truth
        for answer in answers
        if answer.truth and entity_of(answer.truth) is None
    }


def _attributes(answers: Sequence[Answer]) -> dict[str, Share]:
    hits: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        for attribute, agrees in attribute_agreement(answer).items():
            hits[attribute].append(agrees)
    return {attribute: Share.of(of_it) for attribute, of_it in hits.items()}
