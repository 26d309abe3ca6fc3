"""The page Compare: two runs of one case side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.compare import comparison, sections
from videopath.app.web.components.compare.rerun import rerun_form
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import age
from videopath.app.web.runtime.services import Services, services
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent import CaseReport
    from videopath.agent.cases.library import CaseEntry


def show() -> None:
    """Draw the choice of two cases, and their comparison."""
    shared = services()
    st.title("Compare")
    entries = [entry for entry in shared.library.list() if entry.diagnosis]
    if len(entries) < 2:
        _too_few(shared, entries)
        return
    reports = [_report(shared, entry) for entry in _selected_cases(entries)]
    first, second = reports
    if first is None or second is None:
        return
    if not comparison.same_video(first, second):
        st.warning("The two cases have different videos.", icon=":material/warning:")
    sections.outcomes(first, second)
    sections.settings(first, second)
    sections.differential(first, second)
    sections.findings(first, second)
    sections.similar(first, second)
    sections.steps(first, second)
    st.header("Run again with another model, knowledge base or number of frames")
    again = st.segmented_control(
        "Run", sections.NAMES, default="A", key="again_which", label_visibility="collapsed"
    )
    rerun_form(shared, second if again == "B" else first)


def _too_few(shared: Services, entries: Sequence[CaseEntry]) -> None:
    st.info(
        "A comparison needs two cases with a diagnosis: run a case again, or start a new case.",
        icon=":material/compare_arrows:",
    )
    if st.button("New case", key="another_case", icon=":material/add_circle:"):
        go("new")
    for entry in entries:
        report = _report(shared, entry)
        if report is not None:
            st.header("Run again")
            st.text(_label(entry))
            rerun_form(shared, report)


def _selected_cases(entries: Sequence[CaseEntry]) -> tuple[CaseEntry, CaseEntry]:
    """Both cases; their ids are in the address, so that the page can be bookmarked and sent."""
    by_id = {entry.case_id: entry for entry in entries}
    left, right = st.columns(2)
    with left:
        one = by_id[_select("A", list(by_id), by_id, st.query_params.get("a"))]
    others = [entry for entry in entries if entry is not one]
    others.sort(key=lambda entry: entry.video != one.video)
    with right:
        other = by_id[_select("B", [entry.case_id for entry in others], by_id, st.query_params.get("b"))]
    st.query_params.update({"a": one.case_id, "b": other.case_id})
    return one, other


def _select(name: str, ids: list[str], entries: dict[str, CaseEntry], default: str | None) -> str:
    key = f"run_{name.lower()}"
    if st.session_state.get(key) not in ids:
        st.session_state[key] = default if default in ids else ids[0]
    selected_id: str = st.selectbox(
        f"Run {name}", ids, format_func=lambda case_id: _label(entries[case_id]), key=key
    )
    return selected_id


def _label(entry: CaseEntry) -> str:
    return f"{PurePath(entry.video).name}, {entry.diagnosis}, {age(entry.created)} ({entry.case_id})"


def _report(shared: Services, entry: CaseEntry) -> CaseReport | None:
    try:
        return shared.library.get(entry.case_id)
    except CaseError as error:
        st.error("This case cannot be shown.", icon=":material/error:")
        st.text(str(error))
        return None
