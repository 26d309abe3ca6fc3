"""The summary of a batch: counts by status and diagnosis, confidences, seconds, and reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

from pydantic import BaseModel, Field

from videopath.agent.many.results import ROW_STATUSES, ResultRow

BINS = 10
"""Bins of confidences, of equal width."""
_MAX_REASONS = 20
_OTHERS = "(others)"
_MAX_REASON = 300  # characters


class Reason(BaseModel):
    """Why rows were refused, or why they failed."""

    status: str
    reason: str
    rows: int


class BatchSummary(BaseModel):
    """The figures of a batch."""

    rows: int = Field(description="in the manifest")
    open: int = Field(description="rows that have not ended yet")
    statuses: dict[str, int] = Field(description="status → rows")
    diagnoses: dict[str, dict[str, int]] = Field(
        description="diagnosis → status → rows, the most frequent first"
    )
    confidences: list[int] = Field(description="rows in each bin of confidence, of those that have one")
    without_confidence: int = Field(default=0, description="rows without a fitted confidence")
    seconds: list[float] = Field(default_factory=list, description="seconds of the cases, rising")
    reasons: list[Reason]
    weights: list[str] = Field(description="SHA-256 of the models")
    knowledge: list[str] = Field(description="SHA-256 of the knowledge bases")
    devices: dict[str, int]

    @property
    def median_seconds(self) -> float | None:
        """The median of the seconds; None if no case was worked on."""
        return median(self.seconds) if self.seconds else None


def summarise(rows: Iterable[ResultRow], total: int) -> BatchSummary:
    """Return the summary of the rows that have ended, out of ``total``. A case that stands in several rows counts once
    in the seconds."""
    statuses, devices = Counter[str](), Counter[str]()
    diagnoses: dict[str, Counter[str]] = {}
    bins, without = [0] * BINS, 0
    seconds: dict[str, float] = {}
    reasons: Counter[tuple[str, str]] = Counter()
    weights: dict[str, None] = {}
    knowledge: dict[str, None] = {}
    for row in rows:
        statuses[row.status] += 1
        if row.diagnosis:
            diagnoses.setdefault(row.diagnosis, Counter())[row.status] += 1
            if row.confidence is None:
                without += 1
            else:
                bins[min(BINS - 1, int(row.confidence * BINS))] += 1
        if row.seconds is not None:
            seconds[row.case_id] = row.seconds
        if row.device:
            devices[row.device] += 1
        if row.status in ("refused", "failed"):
            reasons[row.status, _general(row)] += 1
        if row.weights_sha256:
            weights[row.weights_sha256] = None
            knowledge[row.knowledge_sha256] = None
    frequent = sorted(diagnoses, key=lambda name: (-diagnoses[name].total(), name))
    return BatchSummary(
        rows=total,
        open=total - statuses.total(),
        statuses={status: statuses[status] for status in ROW_STATUSES},
        diagnoses={name: dict(diagnoses[name]) for name in frequent},
        confidences=bins,
        without_confidence=without,
        seconds=sorted(seconds.values()),
        reasons=_most(reasons),
        weights=list(weights),
        knowledge=list(knowledge),
        devices=dict(devices),
    )


def _general(row: ResultRow) -> str:
    """Return the reason without the names that differ from row to row, so that equal reasons are counted together."""
    reason = row.reason.replace(row.path, "PATH").replace(
        row.path.replace("\\", "/").rsplit("/", 1)[-1] or row.path, "FILE"
    )
    return reason[:_MAX_REASON]


def _most(reasons: Counter[tuple[str, str]]) -> list[Reason]:
    frequent = reasons.most_common(_MAX_REASONS)
    listed = [Reason(status=status, reason=reason, rows=rows) for (status, reason), rows in frequent]
    for status in ("refused", "failed"):
        others = sum(rows for (one, _), rows in reasons.items() if one == status)
        others -= sum(reason.rows for reason in listed if reason.status == status)
        if others:
            listed.append(Reason(status=status, reason=_OTHERS, rows=others))
    return listed
