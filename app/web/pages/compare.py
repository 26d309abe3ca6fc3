"""Two runs of one case side by side: what was asked differently, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.compare import comparison
from videopath.app.web.components.compare import sections as beside
from videopath.app.web.components.compare.rerun import rerun_form
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import age
from videopath.app.web.runtime.services import Services, services
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent import CaseReport
    from videopath.agent.cases.library import CaseEntry


def show() -> None:
    """Choose two cases, then see where they part."""
    shared = services()
    st.title("Compare")
    entries = [entry for entry in shared.library.list() if entry.diagnosis]
    if len(entries) < 2:
        _too_few(shared, entries)
        return
    reports = [_report(shared, entry) for entry in _chosen(entries)]
    first, second = reports
    if first is None or second is None:
        return
    if not comparison.same_video(first, second):
        st.warning("These are runs of two different videos.", icon=":material/warning:")
    beside.outcomes(first, second)
    beside.asked(first, second)
    beside.differential(first, second)
    beside.findings(first, second)
    beside.similar(first, second)
    beside.steps(first, second)
    st.subheader("Run it again with another model, knowledge or number of frames")
    again = st.segmented_control(
        "Run", beside.NAMES, default="A", key="again_which", label_visibility="collapsed"
    )
    rerun_form(shared, second if again == "B" else first)


def _too_few(shared: Services, entries: Sequence[CaseEntry]) -> None:
    st.info(
        "Two cases with a diagnosis are needed; run one again, or begin a new one.",
        icon=":material/compare_arrows:",
    )
    if st.button("New case", key="another_case", icon=":material/add_circle:"):
        go("new")
    for entry in entries:
        report = _report(shared, entry)
        if report is not None:
            st.subheader("Run it again")
            st.text(_label(entry))
            rerun_form(shared, report)


def _chosen(entries: Sequence[CaseEntry]) -> tuple[CaseEntry, CaseEntry]:
    """Both cases; they stand in the address, so that the page can be kept and sent."""
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


def _select(name: str, ids: list[str], entries: dict[str, CaseEntry], wanted: str | None) -> str:
    key = f"run_{name.lower()}"
    if st.session_state.get(key) not in ids:
        st.session_state[key] = wanted if wanted in ids else ids[0]
    chosen: str = st.selectbox(
        f"Run {name}", ids, format_func=lambda case_id: _label(entries[case_id]), key=key
    )
    return chosen


def _label(entry: CaseEntry) -> str:
    return f"{PurePath(entry.video).name}, {entry.diagnosis}, {age(entry.created)} ({entry.case_id})"


def _report(shared: Services, entry: CaseEntry) -> CaseReport | None:
    try:
        return shared.library.get(entry.case_id)
    except CaseError as error:
        st.error("This case cannot be shown.", icon=":material/error:")
        st.text(str(error))
        return None
