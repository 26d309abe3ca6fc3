"""Navigation from page to page."""

from __future__ import annotations

from importlib import import_module

import streamlit as st
from streamlit.navigation.page import Page

_MODULES = {"new": "new_case"}  # url paths that differ from the module's name


def case_page() -> Page:
    """Return the page of one case; ``?id=`` in the address names the case."""
    from videopath.app.web.pages import case

    return st.Page(case.show, title="Case", icon=":material/clinical_notes:", url_path="case")


def open_case(case_id: str) -> None:
    """Go to the page of a case."""
    st.switch_page(case_page(), query_params={"id": case_id})


def go(path: str, **query: str) -> None:
    """Go to the page with a url path, such as "new", "worklist" or "compare"."""
    module = import_module(f"videopath.app.web.pages.{_MODULES.get(path, path)}")
    st.switch_page(st.Page(module.show, url_path=path, default=path == "new"), query_params=query)
