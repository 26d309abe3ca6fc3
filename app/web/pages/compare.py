"""The page Compare: two runs of one case side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from videopath.agent.cases.team.worklist import Sifting, Worklist
from videopath.app.web.components.compare import comparison, sections
from videopath.app.web.components.compare.rerun import rerun_form
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import age
from videopath.app.web.runtime.services import Services, services
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent import CaseReport
    from videopath.agent.cases.library import CaseEntry

_OFFERED = 200  # cases in a list to choose from: more would have to be sent to the browser


def show() -> None:
    """Draw the choice of two cases, and their comparison."""
    shared = services()
    st.title("Compare")
    entries = _offered(shared, "a", "b")
    if len(entries) < 2:
        _too_few(shared, entries)
        return
    reports = [_report(shared, entry) for entry in _selected_cases(shared, entries)]
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
    st.header("Run again with another model, knowledge base or number of frames", anchor=False)
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
            st.header("Run again", anchor=False)
            st.text(_label(entry))
            rerun_form(shared, report)


def _offered(shared: Services, *addressed: str, video: str | None = None) -> Sequence[CaseEntry]:
    """Return the latest cases with a diagnosis, those of a video first; of older ones, what the page's address names."""
    latest = Worklist(shared.library).page(Sifting(diagnosed=True, video=video), _OFFERED)
    listed = {entry.case_id for entry in latest}
    named = dict.fromkeys(st.query_params.get(name, "") for name in addressed)
    older = [shared.library.entry(one) for one in named if one not in listed and shared.library.has(one)]
    return [*latest, *(entry for entry in older if entry.diagnosis)]


def _selected_cases(shared: Services, entries: Sequence[CaseEntry]) -> tuple[CaseEntry, CaseEntry]:
    """Both cases; their ids are in the address, so that the page can be bookmarked and sent."""
    left, right = st.columns(2)
    with left:
        one = _select("A", entries, st.query_params.get("a"))
    with right:
        others = _offered(shared, "b", video=one.video)
        other = _select(
            "B", [entry for entry in others if entry.case_id != one.case_id], st.query_params.get("b")
        )
    if len(entries) >= _OFFERED:
        st.caption(
            f"The latest {_OFFERED} cases with a diagnosis can be chosen, and every case by the page's address."
        )
    st.query_params.update({"a": one.case_id, "b": other.case_id})
    return one, other


def _select(name: str, entries: Sequence[CaseEntry], default: str | None) -> CaseEntry:
    key, by_id = f"run_{name.lower()}", {entry.case_id: entry for entry in entries}
    if st.session_state.get(key) not in by_id:
        st.session_state[key] = default if default in by_id else entries[0].case_id
    selected_id = st.selectbox(
        f"Run {name}", list(by_id), format_func=lambda case_id: _label(by_id[case_id]), key=key
    )
    return by_id[selected_id]


def _label(entry: CaseEntry) -> str:
    return f"{PurePath(entry.video).name}, {entry.diagnosis}, {age(entry.created)} ({entry.case_id})"


def _report(shared: Services, entry: CaseEntry) -> CaseReport | None:
    try:
        return shared.library.get(entry.case_id)
    except CaseError as error:
        st.error("This case cannot be shown.", icon=":material/error:")
        st.text(str(error))
        return None
