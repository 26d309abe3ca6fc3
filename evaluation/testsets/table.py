"""Answers to a test set as numbers, one row each: the input of all metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from videopath.core.errors import InputError
from videopath.core.installing import require
from videopath.core.pathology.entities import comparable_name, credit, entity_of
from videopath.evaluation.testsets.answers import Answer
from videopath.media.quality.attributes import SCALES

Encode = Callable[[list[str]], np.ndarray]
"""Texts → unit vectors [n, dimension]."""

TOP = 3


@dataclass(frozen=True)
class Table:
    """Answers as numbers, one row each."""

    ids: list[str]
    clusters: np.ndarray
    """str [n]: the cluster that the bootstrap draws as a whole."""
    truth: np.ndarray
    """str [n]: the true diagnosis by the entity's own name; empty if the set names none."""
    said: np.ndarray
    """str [n]: the answered diagnosis, likewise; empty if none."""
    columns: dict[str, np.ndarray]
    """float [n] each, NaN if not applicable: the metrics that are means, ``right`` and ``confidence``."""

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]

    def take(self, rows: np.ndarray) -> Table:
        """Return the table with these rows only (mask or indices)."""
        return replace(
            self,
            ids=np.asarray(self.ids, object)[rows].tolist(),
            clusters=self.clusters[rows],
            truth=self.truth[rows],
            said=self.said[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
        )


def table(answers: Sequence[Answer], encode: Encode | None) -> Table:
    """Return the answers of one system as a table.

    Args:
        answers: The answers.
        encode: Texts → unit vectors. Without it the slow text values (ROUGE-L, similarity, partial diagnosis) are left out.

    Raises:
        InputError: There is no answer.
    """
    if not answers:
        raise InputError("There is no answer to evaluate.")
    values = measured(answers, encode) if encode else {}
    sure = all(answer.error or answer.confidence is not None for answer in answers)
    ranks = any(answer.differential for answer in answers)
    truths = {comparable_name(a.truth) for a in answers if a.truth}
    columns = {
        **{name: [values.get(a.id, {}).get(name, np.nan) for a in answers] for name in ("rouge_l", "similarity", "diagnosis")},
        "right": [float(a.right) if a.truth else np.nan for a in answers],
        "top3": [float(_among_first(a)) if a.truth and ranks else np.nan for a in answers],
        "attributes": [_mean(attribute_agreement(a).values()) for a in answers],
        "confidence": [(0.0 if a.error else a.confidence) if sure and a.truth else np.nan for a in answers],
        "answered": [float(not (a.error or a.abstained or a.question_answered is False)) for a in answers],
        "named": [float(_names_one(a, truths)) if a.truth else np.nan for a in answers],
        "seconds": [a.seconds for a in answers],
    }  # fmt: skip
    return Table(
        ids=[a.id for a in answers],
        clusters=np.array([a.cluster for a in answers]),
        truth=np.array([comparable_name(a.truth) if a.truth else "" for a in answers]),
        said=np.array([a.said for a in answers]),
        columns={name: np.array(values, float) for name, values in columns.items()},
    )


def measured(answers: Sequence[Answer], encode: Encode) -> dict[str, dict[str, float]]:
    """Return, for each question, the values in [0, 1] of its answer alone. A missing answer counts as 0.

    ``rouge_l``: F1 of ROUGE-L (Lin 2004) against the reference, with stemming. ``similarity``: cosine of the two texts' vectors, at
    least 0. ``diagnosis``, if the set names the true one: 1 for it or a synonym, one half for a parent entity, by
    ``core/pathology/entities.yaml``.
    """
    check_metrics()
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    said, references = (
        encode(texts) for texts in ([a.text for a in answers], [a.reference for a in answers])
    )
    alike = np.clip((said * references).sum(axis=1), 0.0, 1.0)
    values = {}
    for answer, close in zip(answers, alike.tolist(), strict=True):
        values[answer.id] = {
            "rouge_l": scorer.score(answer.reference, answer.text)["rougeL"].fmeasure,
            "similarity": close if answer.text else 0.0,
            **({"diagnosis": credit(answer.said, answer.truth)} if answer.truth else {}),
        }
    return values


def check_metrics() -> None:
    """Raise ``InputError`` if the package that computes ROUGE is missing: checked before a question is asked."""
    require("rouge_score", "rouge-score", "benchmark", "An evaluation on a test set")


def attribute_agreement(answer: Answer) -> dict[str, bool]:
    """Return attribute → whether the description names its true level. A missing word counts as wrong."""
    text = (answer.description or answer.text).lower()
    scales = {scale.attribute: scale for scale in SCALES}
    return {
        attribute: scales[attribute].spoken_level(text) == scales[attribute].spoken_level(word)
        if attribute in scales
        else word.lower() in text
        for attribute, word in answer.attributes.items()
    }


def _names_one(answer: Answer, truths: Set[str]) -> bool:
    """Return whether an answer names a diagnosis. A free answer does if it names one of the set or of the table of entities."""
    if answer.error or answer.abstained:
        return False
    return bool(answer.diagnosis) or answer.said in truths or entity_of(answer.said) is not None


def _among_first(answer: Answer) -> bool:
    truth = comparable_name(answer.truth or "")
    return any(comparable_name(candidate.label) == truth for candidate in answer.differential[:TOP])


def _mean(hits: Iterable[bool]) -> float:
    values = list(hits)
    return float(np.mean(values)) if values else np.nan
