"""One case in the worklist: its facts, its status and its buttons."""

from __future__ import annotations

import streamlit as st

from videopath.agent.report.phrases import listed_confidence
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.components.shared.status import RESUMABLE, age, status_badge
from videopath.app.web.components.worklist.deletion import ask_to_delete
from videopath.app.web.components.worklist.filters import WorklistRow
from videopath.app.web.runtime.services import Services, owner
from videopath.app.web.runtime.worker import JobState
from videopath.core.errors import VideoPathError

CHOSEN = "chosen_to_compare"  # ids in the session, in the order of choosing


def case_row(shared: Services, row: WorklistRow, job: JobState | None) -> None:
    """Draw a case as a card."""
    with st.container(border=True, key=f"row_{row.entry.case_id}"):
        about, state, buttons = st.columns([9, 4, 8], vertical_alignment="center")
        with about, st.container(gap=None):
            _about(row)
        with state, st.container(gap=None):
            _state(row, job)
        with (
            buttons,
            st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"),
        ):
            _buttons(shared, row, job)


def _about(row: WorklistRow) -> None:
    entry = row.entry
    diagnosis = inert(entry.diagnosis) if entry.diagnosis else "*no diagnosis yet*"
    st.markdown(f"**{diagnosis}**" if entry.diagnosis else diagnosis)
    st.caption(inert(f"{row.video} · {row.site} · {age(entry.created)}"))
    st.caption(inert(f"{entry.model} · {entry.case_id}"))
    if row.status == "failed" and entry.comment:
        st.caption(inert(entry.comment))


def _state(row: WorklistRow, job: JobState | None) -> None:
    status_badge(row.status, job.position if job else 0)
    entry = row.entry
    if row.status != "signed" and (sure := listed_confidence(entry)):
        st.caption(f"confidence {sure}" if entry.confidence is not None else sure)
    elif row.status == "running" and job and job.step:
        st.caption(inert(f"step: {job.step.replace('_', ' ')}"))
    if row.status == "signed" and entry.signed_by:
        st.caption(inert(f"by {entry.signed_by}"))


def _buttons(shared: Services, row: WorklistRow, job: JobState | None) -> None:
    case_id = row.entry.case_id
    if row.entry.diagnosis:
        _compare_box(case_id)
    if row.status in RESUMABLE and st.button("Resume", key=f"resume_{case_id}", icon=":material/play_arrow:"):
        _resume(shared, case_id)
    label = "Review" if row.status == "waiting for review" else "Open"
    if st.button(label, key=f"open_{case_id}"):
        open_case(case_id)
    st.button(
        "Delete",
        key=f"delete_{case_id}",
        type="tertiary",
        disabled=job is not None or row.status == "running",
        help="Stop the case first." if job else None,
        on_click=ask_to_delete,
        args=(case_id,),
    )


def _compare_box(case_id: str) -> None:
    selected_ids = st.session_state.get(CHOSEN, [])
    st.session_state[f"compare_{case_id}"] = (
        case_id in selected_ids
    )  # a row that was not drawn loses its state
    st.checkbox(
        "compare",
        key=f"compare_{case_id}",
        on_change=_choose,
        args=(case_id,),
        disabled=len(selected_ids) == 2 and case_id not in selected_ids,
    )


def _choose(case_id: str) -> None:
    others = [selected_id for selected_id in st.session_state.get(CHOSEN, []) if selected_id != case_id]
    st.session_state[CHOSEN] = others + [case_id] * bool(st.session_state[f"compare_{case_id}"])


def _resume(shared: Services, case_id: str) -> None:
    try:
        shared.worker.resume(case_id, owner())
    except VideoPathError as error:
        st.error("The case cannot be resumed.", icon=":material/error:")
        st.text(str(error))
        return
    open_case(case_id)
