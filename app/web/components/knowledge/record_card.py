"""A record of a knowledge base: what it says and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.knowledge.record_removal import ask_to_remove
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.runtime.services import services

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord

_OWN = "case-"  # how the ids of records begin that were made of signed cases


def record_card(
    record: InstructionRecord,
    place: str,
    *,
    score: float | None = None,
    ranks: str = "",
    fixed: bool = False,
) -> None:
    """Draw a record; ``place`` tells the same record apart that is shown twice, ``fixed`` ones cannot be removed."""
    with st.container(border=True, gap="xsmall", key=f"record_{place}_{record.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{inert(record.diagnosis or 'no diagnosis')}**", width="stretch")
            _buttons(record, place, fixed)
        if score is not None:
            told = f"similarity {score:.3f}" + (f" · ranks: {ranks}" if ranks else "")
            st.progress(min(max(score, 0.0), 1.0), text=told)
        st.text(record.description or "No description: it is found by its diagnosis.")
        st.caption(inert(f"{record.site or 'site not given'} · from {record.source} · {record.licence}"))
        st.caption(inert(f"{record.id} · asked: {record.question}"))
        if record.provenance:
            st.caption(inert(" · ".join(f"{name}: {value}" for name, value in record.provenance.items())))


def _buttons(record: InstructionRecord, place: str, fixed: bool) -> None:
    case_id = record.id.removeprefix(_OWN)
    is_case = case_id != record.id and any(e.case_id == case_id for e in services().library.list())
    if is_case and st.button("Open its case", key=f"case_{place}_{record.id}", type="tertiary"):
        open_case(case_id)
    if not fixed:
        st.button(
            "Remove",
            key=f"remove_{place}_{record.id}",
            type="tertiary",
            on_click=ask_to_remove,
            args=(record.id,),
        )
