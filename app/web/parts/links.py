"""Ways from page to page."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import Page


def case_page() -> Page:
    """The page of one case; ``?id=`` says of which."""
    from videopath.app.web.pages import case

    return st.Page(case.show, title="Case", icon=":material/clinical_notes:", url_path="case")


def open_case(case_id: str) -> None:
    """Go to the page of a case."""
    st.switch_page(case_page(), query_params={"id": case_id})
