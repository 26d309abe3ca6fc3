"""A case as the library lists it: a row of its table, read from the database or made from a report."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, computed_field

from videopath.agent.cases.records import CaseReport
from videopath.core.choices import CaseStatus, DisplayedStatus
from videopath.core.clock import now

NOBODY = "nobody"
"""``CaseEntry.vouched_by`` of a diagnosis for which neither the model nor the similar cases vouch."""
OF_PEOPLE = ("assigned", "batch")
"""Columns that no report decides."""
FINISHED = ("done", "abstained", "signed", "rejected")
"""The statuses of a case that has ended: only a signature may follow."""
REVIEW_STATUS: CaseStatus = "waiting for review"


class CaseEntry(BaseModel):
    """A case as the library lists it: one row of its table."""

    case_id: str
    status: CaseStatus
    video: str
    site: str | None = None
    diagnosis: str = ""
    confidence: float | None = None
    model: str = ""
    created: str
    updated: str
    signed_by: str | None = None
    signed_at: str | None = None
    comment: str | None = None
    vouched_by: str | None = Field(
        default=None, description="who vouches for the agent's diagnosis; None: not known"
    )
    assigned: str | None = Field(default=None, description="who is in charge of the case")
    batch: str | None = Field(default=None, description="the batch in which it was started")
    at_work: bool = Field(default=False, description="whether a process works on this unfinished case")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> DisplayedStatus:
        """The status that people see: a running case that no process works on is "interrupted"."""
        if self.at_work:
            return "running"
        return "interrupted" if self.status == "running" else self.status


def values_of(entry: CaseEntry) -> dict[str, Any]:
    """Return the columns of an entry."""
    return entry.model_dump(exclude={"at_work", "state"})


def values_of_report(report: CaseReport) -> dict[str, Any]:
    """Return the columns that a report decides; the others stay."""
    values = values_of(entry_of(report))
    return {name: value for name, value in values.items() if name not in OF_PEOPLE}


def _vouched_by(report: CaseReport) -> str | None:
    if not report.vouchers:
        return None
    return ", ".join(voucher.by for voucher in report.vouchers if not voucher.reasons) or NOBODY


def entry_of(report: CaseReport) -> CaseEntry:
    """Return the entry of a report, as of now."""
    moment = now()
    signature = report.review[-1] if report.status == "signed" and report.review else None
    return CaseEntry(
        case_id=report.case_id,
        status=report.status,
        video=report.video.path if report.video else "",
        site=report.site,
        diagnosis=report.diagnosis,
        confidence=None if report.provenance.get("calibrated") is False else report.confidence,
        model=report.model,
        created=report.created or moment,
        updated=moment,
        signed_by=signature.reviewer if signature else None,
        signed_at=signature.decided if signature else None,
        comment=signature.comment if signature else None,
        vouched_by=_vouched_by(report),
    )
