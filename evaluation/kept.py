"""Stored evaluations, and the curves that are drawn from them.

    $VIDEOPATH_HOME/evaluations/<time>-<model>.json   what ``videopath evaluate`` leaves

Risk–coverage follows Geifman & El-Yaniv (NeurIPS 2017); reliability uses ten equal bins of the
confidence (Guo et al., ICML 2017), as the calibration error does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.agent.cases.records import CaseReport
from videopath.core.clock import now
from videopath.core.errors import InputError
from videopath.core.files import write_text
from videopath.evaluation.stats.estimates import Share
from videopath.evaluation.tiles.clips import Outcome

FOLDER = "evaluations"

_BINS = 10
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


class Evaluation(BaseModel):
    """The outcomes of one ``videopath evaluate``, with the model and settings."""

    model_config = ConfigDict(extra="forbid")

    model: str
    weights_sha256: str
    version: str
    """Version of VideoPath."""
    split: str
    looks: int
    """Largest number of closer looks."""
    stain: bool = False
    """Whether all clips were brought to one colour. Such a run is a control, not a score."""
    created: str
    """ISO 8601, UTC."""
    outcomes: list[Outcome]

    @classmethod
    def of(
        cls, outcomes: Sequence[Outcome], report: CaseReport, *, split: str, looks: int, stain: bool = False
    ) -> Evaluation:
        """Join the outcomes with the model's facts from one of their reports."""
        return cls(
            model=report.model,
            weights_sha256=str(report.provenance.get("weights", "")),
            version=str(report.provenance.get("versions", {}).get("videopath-agent", "")),
            split=split,
            looks=looks,
            stain=stain,
            created=now(),
            outcomes=list(outcomes),
        )


class Rated(Protocol):
    """An answer that is right or wrong, with the system's confidence."""

    @property
    def confidence(self) -> float:
        """Confidence in [0, 1]."""

    @property
    def right(self) -> bool:
        """Whether the answer is the true diagnosis."""


@dataclass(frozen=True)
class RiskPoint:
    """Coverage and risk if only answers with at least this confidence are given."""

    confidence: float
    coverage: float
    """Share of answers that are given, in (0, 1]."""
    risk: float
    """Share of wrong answers among the given ones."""


@dataclass(frozen=True)
class ConfidenceBin:
    """The answers with a confidence in one range."""

    low: float
    high: float
    confidence: float
    """Mean confidence."""
    right: Share
    """Share of right answers."""


@dataclass(frozen=True)
class Separation:
    """How well the confidence separates right answers from wrong ones."""

    risk_area: float
    """Area under the risk–coverage curve. 0 is best; a useless confidence gives the risk at full coverage."""
    brier: float
    """Mean squared difference between confidence and outcome (1 right, 0 wrong)."""
    auroc: float | None
    """Probability that a right answer has a higher confidence than a wrong one; None if all answers are right or all wrong."""


def save_evaluation(evaluation: Evaluation, home: Path) -> Path:
    """Store an evaluation and return its file."""
    path = kept_file(home / FOLDER, evaluation.created, evaluation.model)
    write_text(path, evaluation.model_dump_json(indent=1) + "\n")
    return path


def kept_file(folder: Path, created: str, *names: str) -> Path:
    """Return the file name for a document made at a time (ISO 8601). File names sort by time."""
    name = _UNSAFE.sub("-", "-".join(names)).strip("-.") or "unnamed"
    return folder / f"{datetime.fromisoformat(created):%Y%m%d-%H%M%S-%f}-{name[:80]}.json"


def list_evaluations(home: Path) -> list[Path]:
    """List the files of stored evaluations, newest first."""
    return sorted((home / FOLDER).glob("*.json"), reverse=True)


def read_evaluation(path: Path) -> Evaluation:
    """Read a stored evaluation.

    Raises:
        InputError: The file is not an evaluation, or it has no outcome.
    """
    try:
        evaluation = Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not an evaluation. Remove it, or run `videopath evaluate` again."
        ) from error
    if not evaluation.outcomes:
        raise InputError(f"{path} has no outcome. Run `videopath evaluate` again.")
    return evaluation


def risk_coverage(outcomes: Sequence[Rated]) -> list[RiskPoint]:
    """Return one point per distinct confidence, highest first. ``outcomes`` must not be empty."""
    order = np.argsort([-o.confidence for o in outcomes], kind="stable")
    confidence = np.array([o.confidence for o in outcomes])[order]
    wrong = np.cumsum([not outcomes[index].right for index in order])
    last = np.append(confidence[1:] != confidence[:-1], True)  # the last answer of each distinct confidence
    count = np.arange(1, len(outcomes) + 1)
    return [
        RiskPoint(float(confidence[at]), float(count[at] / len(outcomes)), float(wrong[at] / count[at]))
        for at in np.flatnonzero(last)
    ]


def reliability(outcomes: Sequence[Rated]) -> list[ConfidenceBin]:
    """Return the bins of confidence that have answers, lowest first."""
    bin_of = [min(int(o.confidence * _BINS), _BINS - 1) for o in outcomes]
    bins = []
    for bin_index in sorted(set(bin_of)):
        inside = [o for o, where in zip(outcomes, bin_of, strict=True) if where == bin_index]
        mean = float(np.mean([o.confidence for o in inside]))
        right = Share.of([o.right for o in inside])
        bins.append(ConfidenceBin(bin_index / _BINS, (bin_index + 1) / _BINS, mean, right))
    return bins


def separation(outcomes: Sequence[Rated]) -> Separation:
    """Measure how well the confidence separates right from wrong. ``outcomes`` must not be empty."""
    from sklearn.metrics import auc, brier_score_loss, roc_auc_score

    right = np.array([o.right for o in outcomes], dtype=int)
    confidence = np.array([o.confidence for o in outcomes])
    points = risk_coverage(outcomes)
    coverage, risk = [0.0, *(p.coverage for p in points)], [points[0].risk, *(p.risk for p in points)]
    return Separation(
        risk_area=float(auc(coverage, risk)),
        brier=float(brier_score_loss(right, confidence, labels=[0, 1])),
        auroc=float(roc_auc_score(right, confidence)) if len(set(right)) == 2 else None,
    )
