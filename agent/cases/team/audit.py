"""The audit list of a case: who did what, and when. It is kept in the library's database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from videopath.agent.cases.storage.events import select_events
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.cases.records import CaseReport

UNNAMED = "an unnamed reviewer"


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

    What the report of a case from before there was this list says is part of it.

    Args:
        library: The library of the case.
        case_id: The case.

    Raises:
        CaseError: The case is unknown, or the library cannot be read.
    """
    library.entry(case_id)
    with library.store.reading() as connection:
        rows = [] if connection is None else select_events(connection, case_id)
    events = {AuditEvent(**row) for row in rows}
    with suppress(CaseError):  # no report yet, or a damaged one: the page of the case says it
        events.update(events_of(library.get(case_id)))
    return sorted(events, key=lambda event: (event.moment, event.what, event.who))
