"""The report of an unfinished case: its steps so far, without an outcome."""

from __future__ import annotations

from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.records import CaseReport
from videopath.agent.cases.trace import TRACE_NAME, read_trace

UNFINISHED = ("queued", "running", "failed")


def report_so_far(library: CaseLibrary, case_id: str) -> CaseReport:
    """Return the report of a case; of an unfinished one, a report with its finished steps. Nothing is written.

    Raises:
        CaseError: The case is unknown, or its report or its trace is damaged.
    """
    entry = library.entry(case_id)
    if entry.status not in UNFINISHED:
        return library.get(case_id)
    folder = library.folder(case_id)
    return CaseReport(
        case_id=case_id,
        status=entry.status,
        created=entry.created,
        site=entry.site,
        model=entry.model,
        steps=read_trace(folder / TRACE_NAME),
        folder=folder,
    )
