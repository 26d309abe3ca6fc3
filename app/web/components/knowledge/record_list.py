"""All records of a knowledge base, ten a page, of a site or a diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.knowledge.record_card import record_card

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase

_ROWS = 10  # records on one page
_NONE = "not given"
FIXED = "This knowledge base is part of VideoPath: its records cannot be edited or removed."


def record_list(base: KnowledgeBase, *, pictures: bool) -> None:
    """Draw the filters and a page of records.

    Args:
        base: The knowledge base.
        pictures: Whether pictures are drawn: only while a visitor sees the list, since each one is decoded.
    """
    info = base.info()
    left, right = st.columns(2)
    site = left.selectbox(
        "Site", ["", *info.sites], index=None, placeholder="every site", key="records_site", format_func=_name
    )
    diagnosis = right.selectbox(
        "Diagnosis", sorted(["", *info.diagnoses]), index=None, placeholder="every diagnosis", key="records_diagnosis", format_func=_name
    )  # fmt: skip
    page = st.session_state.get("records_page", 1)
    count, records = base.page((page - 1) * _ROWS, _ROWS, site, diagnosis)
    pages = -(-count // _ROWS)
    if page > max(pages, 1):  # records were removed, or another filter or knowledge base was chosen
        del st.session_state["records_page"]
        count, records = base.page(0, _ROWS, site, diagnosis)
    st.caption(f"{count:,} records" + (f". {FIXED}" if base.fixed else ""))
    for record in records:
        record_card(base, record, "all", picture=pictures)
    if pages > 1:
        st.pagination(pages, key="records_page")


def _name(value: str) -> str:
    return value or _NONE
