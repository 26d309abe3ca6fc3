"""Evaluations that were kept, and the curves that are drawn from them.

    $VIDEOPATH_HOME/evaluations/<time>-<model>.json   what ``videopath evaluate`` leaves

Risk–coverage as of Geifman & El-Yaniv (NeurIPS 2017); reliability over ten equal bins of the confidence (Guo et al.,
ICML 2017), the same bins as the calibration error's.
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
    """The outcomes of one ``videopath evaluate``, and of what."""

    model_config = ConfigDict(extra="forbid")

    model: str
    weights_sha256: str
    version: str
    """Of VideoPath."""
    split: str
    looks: int
    """Closer looks at most."""
    stain: bool = False
    """Whether all clips were brought to one colour: the control, not the score."""
    created: str
    """ISO 8601, UTC."""
    outcomes: list[Outcome]

    @classmethod
    def of(
        cls, outcomes: Sequence[Outcome], report: CaseReport, *, split: str, looks: int, stain: bool = False
    ) -> Evaluation:
        """The outcomes with what one of their reports says of the model."""
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
    """An answer that is right or wrong, and how sure of it the system was."""

    @property
    def confidence(self) -> float:
        """In [0, 1]."""

    @property
    def right(self) -> bool:
        """Whether it is the true one."""


@dataclass(frozen=True)
class RiskPoint:
    """What comes of answering only where the confidence is at least this high."""

    confidence: float
    coverage: float
    """Share of the answers that are given, in (0, 1]."""
    risk: float
    """Share of wrong answers among them."""


@dataclass(frozen=True)
class ConfidenceBin:
    """The answers whose confidence lies in a range."""

    low: float
    high: float
    confidence: float
    """Their mean."""
    right: Share
    """How many of them were answered rightly."""


@dataclass(frozen=True)
class Separation:
    """How well the confidence tells right answers from wrong ones."""

    risk_area: float
    """Area under risk–coverage; 0 is best, the risk at full coverage is what no confidence at all would give."""
    brier: float
    """Mean squared distance of the confidence from being right (1) or wrong (0)."""
    auroc: float | None
    """Chance that a right answer has the higher confidence than a wrong one; none where all answers are alike."""


def save_evaluation(evaluation: Evaluation, home: Path) -> Path:
    """Keep an evaluation; returns its file."""
    path = kept_file(home / FOLDER, evaluation.created, evaluation.model)
    write_text(path, evaluation.model_dump_json(indent=1) + "\n")
    return path


def kept_file(folder: Path, created: str, *names: str) -> Path:
    """The file of what was made at a moment (ISO 8601): by it they are in order."""
    name = _UNSAFE.sub("-", "-".join(names)).strip("-.") or "unnamed"
    return folder / f"{datetime.fromisoformat(created):%Y%m%d-%H%M%S-%f}-{name[:80]}.json"


def list_evaluations(home: Path) -> list[Path]:
    """The files of the kept evaluations, the last one first."""
    return sorted((home / FOLDER).glob("*.json"), reverse=True)


def read_evaluation(path: Path) -> Evaluation:
    """Read what ``save_evaluation`` wrote. Raises ``InputError`` when it is something else or holds no outcome."""
    try:
        evaluation = Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} is no evaluation: remove it, or run `videopath evaluate` again.") from error
    if not evaluation.outcomes:
        raise InputError(f"{path} holds no outcome: run `videopath evaluate` again.")
    return evaluation


def risk_coverage(outcomes: Sequence[Rated]) -> list[RiskPoint]:
    """A point for each confidence that occurs, the highest first; at least one outcome is needed."""
    order = np.argsort([-o.confidence for o in outcomes], kind="stable")
    confidence = np.array([o.confidence for o in outcomes])[order]
    wrong = np.cumsum([not outcomes[place].right for place in order])
    last = np.append(confidence[1:] != confidence[:-1], True)  # of those that share a confidence
    count = np.arange(1, len(outcomes) + 1)
    return [
        RiskPoint(float(confidence[at]), float(count[at] / len(outcomes)), float(wrong[at] / count[at]))
        for at in np.flatnonzero(last)
    ]


def reliability(outcomes: Sequence[Rated]) -> list[ConfidenceBin]:
    """The bins of confidence in which there are answers, from below."""
    places = [min(int(o.confidence * _BINS), _BINS - 1) for o in outcomes]
    bins = []
    for place in sorted(set(places)):
        inside = [o for o, where in zip(outcomes, places, strict=True) if where == place]
        mean = float(np.mean([o.confidence for o in inside]))
        right = Share.of([o.right for o in inside])
        bins.append(ConfidenceBin(place / _BINS, (place + 1) / _BINS, mean, right))
    return bins


def separation(outcomes: Sequence[Rated]) -> Separation:
    """How much the confidence is worth; at least one outcome is needed."""
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
