"""The audit list of a case: who did what, and when. It is kept in the library's database.

When a case is deleted, its list stays without any free text: who did what and when, who deleted the case, and the hash of
its report as an export in JSON has it, so that a copy of the report can be recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from videopath.agent.cases.storage.events import delete_events, insert_events, select_events, select_kinds
from videopath.core.clock import now
from videopath.core.errors import CaseError
from videopath.core.files import sha256_text

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.cases.records import CaseReport
    from videopath.agent.cases.storage.statements import Row

UNNAMED = "an unnamed reviewer"
DELETED = "deleted"
NAMELESS = "unnamed"
"""Who deleted a case, if no name is known."""


@dataclass(frozen=True)
class AuditEvent:
    """What a person did with a case."""

    case_id: str
    moment: str
    """ISO 8601, UTC."""
    who: str
    what: str
    """Such as "assigned", "signed" or "second reading"."""
    detail: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """The event by the names of its columns."""
        return asdict(self)


def events_of(report: CaseReport) -> list[AuditEvent]:
    """Return what people did according to a report, in order."""
    events = []
    for decision in report.review:
        who, detail = decision.reviewer or UNNAMED, decision.comment
        ends = decision.action != "revise"
        what = {"accept": "signed", "edit": "corrected and signed", "revise": "revised", "reject": "rejected"}
        diagnosis = (decision.diagnosis or "") if ends else ""
        words = "; ".join(word for word in (diagnosis, detail) if word)
        if decision.decided:
            events.append(AuditEvent(report.case_id, decision.decided, who, what[decision.action], words))
        if decision.withdrawn:
            events.append(AuditEvent(report.case_id, decision.withdrawn, who, "withdrawn"))
    for added in report.addenda:
        words = "; ".join(word for word in (added.diagnosis or "", added.text) if word)
        events.append(AuditEvent(report.case_id, added.added, added.reviewer, "addendum", words))
    for reading in report.second_readings:
        words = f"{reading.diagnosis}; {'agrees' if reading.agrees else 'disagrees'}"
        events.append(AuditEvent(report.case_id, reading.read, reading.reader, "second reading", words))
    return events


def audit_events(library: CaseLibrary, case_id: str) -> Sequence[AuditEvent]:
    """Return the audit list of a case, oldest first.

    What the report of a case from before there was this list says is part of it. The list of a deleted case has no details
    but the hash of its report.

    Args:
        library: The library of the case.
        case_id: The case.

    Raises:
        CaseError: The case is unknown, or the library cannot be read.
    """
    with library.store.reading() as connection:
        rows = [] if connection is None else select_events(connection, case_id)
    if not any(row["what"] == DELETED for row in rows):
        library.entry(case_id)
    return _merged(rows, _report_of(library, case_id))


def deletions(library: CaseLibrary) -> Sequence[AuditEvent]:
    """Return who deleted which case, oldest first. Raises ``CaseError`` if the library cannot be read."""
    with library.store.reading() as connection:
        rows = [] if connection is None else select_kinds(connection, DELETED)
    return [AuditEvent(**row) for row in rows]


def note_deletion(library: CaseLibrary, case_id: str, by: str) -> None:
    """Leave of a case's audit list what outlives the case; called while its files are still there.

    Nothing is left of a case that no person has acted on, if no person deletes it: programs delete their own cases.

    Args:
        library: The library of the case.
        case_id: The case.
        by: Who deletes it; empty if no name is known.

    Raises:
        CaseError: The library cannot be written.
    """
    report = _report_of(library, case_id)
    detail = "no report" if report is None else f"report {sha256_text(report.without_paths().to_json())}"
    with library.store.writing() as connection:
        events = _merged(select_events(connection, case_id), report)
        if not by and not events:
            return
        kept = [event if event.what == DELETED else replace(event, detail="") for event in events]
        kept.append(AuditEvent(case_id, now(), " ".join(by.split()) or NAMELESS, DELETED, detail))
        delete_events(connection, case_id)
        insert_events(connection, case_id, [event.row for event in kept])


def _merged(rows: Sequence[Row], report: CaseReport | None) -> list[AuditEvent]:
    """Join what the database and the report say, oldest first."""
    events = {AuditEvent(**row) for row in rows}
    events.update(events_of(report) if report is not None else ())
    return sorted(events, key=lambda event: (event.moment, event.what, event.who))


def _report_of(library: CaseLibrary, case_id: str) -> CaseReport | None:
    """Return the report; None if there is none yet, or a damaged one: the page of the case says it."""
    try:
        return library.get(case_id)
    except CaseError:
        return None
