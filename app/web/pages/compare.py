"""Two runs of one case side by side."""

from __future__ import annotations

import streamlit as st

from videopath.app.web.services import services


def show() -> None:
    """Both reports, field by field."""
    st.title("Compare")
    ids = [entry.case_id for entry in services().library.list() if entry.status not in ("running", "failed")]
    if len(ids) < 2:
        st.info("Two finished cases are needed.")
        return
    for place, column in enumerate(st.columns(2)):
        with column:
            chosen = st.selectbox("Case", ids, index=place, key=f"compare_{place}")
            report = services().library.get(chosen)
            st.text(f"{report.diagnosis} ({report.confidence:.2f})")
