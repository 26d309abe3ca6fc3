"""The table of a page of cases: a row opens with one click, and several rows can be ticked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from videopath.agent.cases.library import NOBODY
from videopath.agent.report.phrases import NOT_CALIBRATED
from videopath.app.web.components.worklist.filters import WorklistRow
from videopath.app.web.components.worklist.thumbnails import Thumbnails
from videopath.app.web.runtime.services import Services
from videopath.app.web.runtime.worker import JobState
from videopath.core.files import sha256_text

TO_OPEN = "case_to_open"
"""In the session: the case whose button was clicked."""
_OPEN = "open_case"
_HEIGHT = 48  # pixels of a row, for its picture
_COLUMNS = (
    "open", "picture", "status", "diagnosis", "confidence", "vouched for by", "signed by", "in charge", "started (UTC)",
    "site", "file", "batch", "model", "case",
)  # fmt: skip


def case_table(
    shared: Services, rows: Sequence[WorklistRow], jobs: Mapping[str, JobState], pictures: Thumbnails
) -> list[WorklistRow]:
    """Draw the table and return the ticked rows."""
    case_ids = tuple(row.entry.case_id for row in rows)
    cells = [_cells(row, jobs.get(row.entry.case_id)) for row in rows]
    for row, cell in zip(rows, cells, strict=True):
        cell["picture"] = pictures.url(shared.library.folder(row.entry.case_id))
    event: Any = st.dataframe(
        {name: [cell[name] for cell in cells] for name in _COLUMNS},
        key=f"cases_{sha256_text(' '.join(case_ids))[:12]}",  # ticks belong to these rows, never to others
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        height="content",
        row_height=_HEIGHT,
        placeholder="–",
        alt=f"{len(rows)} cases",
        column_config={
            "open": st.column_config.ButtonColumn(
                "", key=_OPEN, on_click=_note_click, args=(case_ids,), type="tertiary", pinned=True, width=84
            ),
            "picture": st.column_config.ImageColumn(width=84),
            "diagnosis": st.column_config.TextColumn(width="medium"),
            "confidence": st.column_config.NumberColumn("confidence", format="%.0f%%", width=92),
            "started (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC"),
        },
    )
    return [rows[index] for index in event.selection.rows if index < len(rows)]


def _note_click(case_ids: Sequence[str]) -> None:
    click = st.session_state.get(_OPEN)
    if click and 0 <= click["row"] < len(case_ids):
        st.session_state[TO_OPEN] = case_ids[click["row"]]


def _cells(row: WorklistRow, job: JobState | None) -> dict[str, Any]:
    entry = row.entry
    return {
        "open": "Review" if row.status == "waiting for review" else "Open",
        "status": _status(row, job),
        "diagnosis": entry.diagnosis or (entry.comment if row.status == "failed" else None),
        "confidence": entry.confidence * 100 if entry.diagnosis and entry.confidence is not None else None,
        "vouched for by": _vouched(row),
        "site": row.site,
        "file": row.video,
        "started (UTC)": datetime.fromisoformat(entry.created),
        "in charge": entry.assigned,
        "signed by": entry.signed_by,
        "batch": entry.batch,
        "model": entry.model,
        "case": entry.case_id,
    }


def _status(row: WorklistRow, job: JobState | None) -> str:
    if row.status == "queued" and job is not None and job.position:
        return f"queued, place {job.position}"
    if row.status == "running" and job is not None and job.step:
        return f"running: {job.step.replace('_', ' ')}"
    return row.status


def _vouched(row: WorklistRow) -> str | None:
    entry = row.entry
    if entry.vouched_by:
        return entry.vouched_by.replace(", ", " and ")
    if entry.diagnosis and entry.confidence is None and row.status != "signed":
        return f"{NOBODY}, {NOT_CALIBRATED}"
    return None
