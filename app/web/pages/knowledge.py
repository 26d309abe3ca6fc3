"""The knowledge base: what is in it and what is found."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    """Search the bundled starter by text."""
    from videopath.knowledge import KnowledgeBase

    st.title("Knowledge")
    query = st.text_input("Description", key="query")
    if query.strip():
        for hit in KnowledgeBase.starter().search(query):
            st.text(f"{hit.score:.2f}  {hit.record.diagnosis}: {hit.record.description}")
