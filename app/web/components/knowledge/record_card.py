"""A record of a knowledge base as a card: its text and its origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.knowledge.record_removal import ask_to_remove
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.runtime.services import services

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord

_CASE_PREFIX = "case-"  # of the ids of records from signed cases


def record_card(
    record: InstructionRecord,
    page_part: str,
    *,
    score: float | None = None,
    ranks: str = "",
    fixed: bool = False,
) -> None:
    """Draw a record.

    Args:
        record: The record.
        page_part: Name of the part of the page; it keeps the keys unique if a record is drawn twice.
        score: Similarity to the query.
        ranks: Ranks in the views, as text.
        fixed: Whether the record cannot be removed.
    """
    with st.container(border=True, gap="xsmall", key=f"record_{page_part}_{record.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{inert(record.diagnosis or 'no diagnosis')}**", width="stretch")
            _buttons(record, page_part, fixed)
        if score is not None:
            text = f"similarity {score:.3f}" + (f" · ranks: {ranks}" if ranks else "")
            st.progress(min(max(score, 0.0), 1.0), text=text)
        st.text(record.description or "No description; the search finds this record by its diagnosis.")
        st.caption(inert(f"{record.site or 'site not given'} · from {record.source} · {record.licence}"))
        st.caption(inert(f"{record.id} · question: {record.question}"))
        if record.provenance:
            st.caption(inert(" · ".join(f"{name}: {value}" for name, value in record.provenance.items())))


def _buttons(record: InstructionRecord, page_part: str, fixed: bool) -> None:
    case_id = record.id.removeprefix(_CASE_PREFIX)
    is_case = case_id != record.id and any(e.case_id == case_id for e in services().library.list())
    if is_case and st.button("Open case", key=f"case_{page_part}_{record.id}", type="tertiary"):
        open_case(case_id)
    if not fixed:
        st.button(
            "Remove",
            key=f"remove_{page_part}_{record.id}",
            type="tertiary",
            on_click=ask_to_remove,
            args=(record.id,),
        )
