"""A record of a knowledge base as a card: its picture, its text and its origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from videopath.app.web.components.case.evidence.record_pictures import moment_of_record
from videopath.app.web.components.knowledge.record_edit import ask_to_edit, history_of
from videopath.app.web.components.knowledge.record_removal import ask_to_remove
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.runtime.services import services

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord, KnowledgeBase

_WIDTH = 180  # pixels of a picture
_CASE_PREFIX = "case-"  # of the ids of records from signed cases


def record_card(
    base: KnowledgeBase,
    record: InstructionRecord,
    page_part: str,
    *,
    score: float | None = None,
    ranks: str = "",
    picture: bool = True,
) -> None:
    """Draw a record.

    Args:
        base: Its knowledge base.
        record: The record.
        page_part: Name of the part of the page; it keeps the keys unique if a record is drawn twice.
        score: Similarity to the query.
        ranks: Ranks in the views, as text.
        picture: Whether its picture is drawn, if its file is at hand.
    """
    with st.container(border=True, gap="xsmall", key=f"record_{page_part}_{record.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{inert(record.diagnosis or 'no diagnosis')}**", width="stretch")
            _buttons(base, record, page_part)
        if score is not None:
            text = f"similarity {score:.3f}" + (f" · ranks: {ranks}" if ranks else "")
            st.progress(min(max(score, 0.0), 1.0), text=text)
        shown = _picture(base, record) if picture else None
        with st.container(horizontal=True):
            if shown is not None:
                st.image(shown, width=_WIDTH, alt=f"Picture of {record.diagnosis or record.id}")
            with st.container(gap="xsmall", width="stretch"):
                _texts(record)
                history_of(base, record)


def _texts(record: InstructionRecord) -> None:
    st.text(record.description or "No description; the search finds this record by its diagnosis.")
    st.caption(inert(f"{record.site or 'site not given'} · from {record.source} · {record.licence}"))
    st.caption(inert(f"{record.id} · question: {record.question}"))
    if record.provenance:
        st.caption(inert(" · ".join(f"{name}: {value}" for name, value in record.provenance.items())))


def _picture(base: KnowledgeBase, record: InstructionRecord) -> np.ndarray | None:
    """The middle frame of its first clip, small, with writing filled; None if its file is not at hand."""
    from PIL import Image

    shared = services()
    moment = moment_of_record(record, base.folder, shared, shared.settings.writing)
    frame = moment.read() if moment else None
    if frame is None:
        return None
    small = Image.fromarray(frame)
    small.thumbnail((2 * _WIDTH, 2 * _WIDTH))
    return np.asarray(small)


def _buttons(base: KnowledgeBase, record: InstructionRecord, page_part: str) -> None:
    case_id = record.id.removeprefix(_CASE_PREFIX)
    is_case = case_id != record.id and services().library.has(case_id)
    if is_case and st.button("Open case", key=f"case_{page_part}_{record.id}", type="tertiary"):
        open_case(case_id)
    if not base.fixed:
        st.button(
            "Edit",
            key=f"edit-{page_part}-{record.id}",
            type="tertiary",
            on_click=ask_to_edit,
            args=(record,),
        )
        st.button(
            "Remove",
            key=f"remove_{page_part}_{record.id}",
            type="tertiary",
            on_click=ask_to_remove,
            args=(record.id,),
        )
