"""A finished case is rejected, and a signature or rejection is withdrawn within a minute of it.

Nothing is erased: a withdrawn decision stays in the report with the moment of its withdrawal, and the case is open again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from videopath.agent.cases.records import CaseReport, Decision, reason_of
from videopath.agent.cases.signatures.signing import UNSIGNED_NAME
from videopath.core.clock import now, utc
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary

UNDO_SECONDS = 60.0
"""How long a signature or a rejection can be withdrawn by the person who gave it."""
_WAIT = 30.0  # seconds that a writer waits for another one
_FINISHED = ("done", "abstained")


def reject_finished(library: CaseLibrary, case_id: str, reviewer: str, comment: str = "") -> CaseReport:
    """Reject a case that is done or abstained and return its report.

    Args:
        library: The library of the case.
        case_id: The case.
        reviewer: Who rejects it.
        comment: Why.

    Raises:
        CaseError: The case is unknown, not finished or already decided, or the name is empty.
    """
    if not reviewer.strip():
        raise CaseError("A rejection needs a name: give the reviewer.")
    with library.working(case_id, _WAIT):
        report = library.get(case_id)
        if report.status not in _FINISHED:
            raise CaseError(f"Case {case_id} is {report.status}: only a finished case can be rejected.")
        try:
            decision = Decision(
                action="reject", reviewer=reviewer.strip(), comment=comment.strip(), decided=now()
            )
        except ValidationError as error:
            raise CaseError(f"The rejection is not usable: {reason_of(error)}.") from error
        report.review.append(decision)
        report.status = "rejected"
        library.save(report)
    return report


def seconds_to_withdraw(report: CaseReport) -> float:
    """Return for how many more seconds the last decision of a report can be withdrawn; 0 if it cannot."""
    if report.status not in ("signed", "rejected") or not report.review or _is_built_upon(report):
        return 0.0
    decided = report.review[-1].decided
    passed = (utc() - datetime.fromisoformat(decided)).total_seconds() if decided else UNDO_SECONDS
    return max(0.0, UNDO_SECONDS - passed)


def _is_built_upon(report: CaseReport) -> bool:
    return bool(report.addenda or report.second_readings)


def withdraw_decision(library: CaseLibrary, case_id: str, reviewer: str) -> CaseReport:
    """Withdraw a signature or a rejection within a minute and return the report, which is open again.

    Args:
        library: The library of the case.
        case_id: The case.
        reviewer: Who signed or rejected it.

    Raises:
        CaseError: The case is unknown or not decided, the minute is over, somebody else decided, an addendum or a second reading
            follows,
            or the report before the decision is gone.
    """
    with library.working(case_id, _WAIT):
        report = library.get(case_id)
        if not seconds_to_withdraw(report):
            raise CaseError(
                f"The decision on case {case_id} can no longer be withdrawn: add an addendum, or start a new case."
            )
        last = report.review[-1]
        if last.reviewer != reviewer.strip():
            raise CaseError(
                f"{last.reviewer or 'Somebody else'} decided on case {case_id}: only they can withdraw it."
            )
        before = _before(library, case_id)
        report.review[-1] = last.model_copy(update={"withdrawn": now()})
        report.diagnosis, report.description, report.findings = (
            before.diagnosis,
            before.description,
            before.findings,
        )
        report.status = "abstained" if report.abstained else "done"
        library.save(report)
    return report


def _before(library: CaseLibrary, case_id: str) -> CaseReport:
    path = library.folder(case_id) / UNSIGNED_NAME
    try:
        return CaseReport.from_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CaseError(
            f"The report of case {case_id} before the decision is gone: it stays as decided."
        ) from error
