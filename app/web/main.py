"""The script that Streamlit runs for every page view: the navigation and the parts that all pages have."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import streamlit as st
from streamlit.navigation.page import Page

from videopath.app.web.components.shared.banner import banner
from videopath.app.web.components.shared.links import case_page
from videopath.app.web.components.shared.person_bar import login_page, person_bar
from videopath.app.web.components.shared.style import MARK, style
from videopath.app.web.runtime.people import needs_login
from videopath.app.web.runtime.services import owner, services
from videopath.core.errors import VideoPathError


def main() -> None:
    """Show the requested page."""
    st.set_page_config(page_title="VideoPath", page_icon=MARK, layout="wide")
    style()
    page = st.navigation(
        {
            "Cases": [
                _page("new_case", "New case", "add_circle", "new", default=True),
                case_page(),
                _page("worklist", "Worklist", "list_alt", "worklist"),
                _page("second_reading", "Second reading", "group", "second_reading", hidden=True),
                _page("compare", "Compare", "compare_arrows", "compare"),
            ],
            "Background": [
                _page("knowledge", "Knowledge", "menu_book", "knowledge"),
                _page("datasets", "Data sets", "edit_note", "datasets"),
                _page("benchmarks", "Benchmarks", "monitoring", "benchmarks"),
                _page("about", "About", "info", "about"),
            ],
        },
        position="hidden" if needs_login() else "sidebar",
    )
    banner()
    owner()
    try:
        if needs_login():
            login_page()
            return
        person_bar()
        shared = services()
        page.run()
    except VideoPathError as error:
        st.error("The page cannot be shown.")
        st.text(str(error))
        return
    shared.worker.warm()


def _page(
    module: str, title: str, icon: str, path: str, *, default: bool = False, hidden: bool = False
) -> Page:
    """Return a page whose module is imported when it is shown, so that the first page appears soon."""

    def show_page() -> None:
        show: Callable[[], None] = import_module(f"videopath.app.web.pages.{module}").show
        show()

    return st.Page(
        show_page,
        title=title,
        icon=f":material/{icon}:",
        url_path=path,
        default=default,
        visibility="hidden" if hidden else "visible",
    )


if __name__ == "__main__":  # Streamlit runs this file as __main__
    main()
