"""The page Worklist: all cases of the home folder, to find, open, resume, compare or delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import STATUSES, open_jobs, status_of
from videopath.app.web.components.worklist.case_row import CHOSEN, case_row
from videopath.app.web.components.worklist.deletion import deletion_dialog
from videopath.app.web.components.worklist.filters import ORDERS, WorklistRow, same_video_first, sift
from videopath.app.web.runtime.services import Services, services
from videopath.app.web.runtime.worker import JobState

_ROWS = 20  # cases on one page
_INTERVAL = 3.0  # seconds between two checks while a case runs


def show() -> None:
    """Draw the cases, a page at a time."""
    shared = services()
    rows, jobs = _rows(shared)
    st.title("Worklist")
    if not rows:
        _nothing_yet()
        return
    matching = _sifted(rows)
    _comparison(rows)
    deletion_dialog(shared)
    with st.container(key="worklist"):
        _page_of(shared, matching, jobs)
    if jobs or any(row.status == "running" for row in rows):
        _watch(shared, _digest(rows, jobs))


def _rows(shared: Services) -> tuple[list[WorklistRow], dict[str, JobState]]:
    jobs = open_jobs(shared.worker.queue())
    return [WorklistRow(entry, status_of(entry, jobs)) for entry in shared.library.list()], jobs


def _nothing_yet() -> None:
    st.info(
        "There are no cases yet. Start with a video or an image of a slide: give its path on this machine, or upload it.",
        icon=":material/inbox:",
    )
    if st.button("New case", key="first_case", type="primary", icon=":material/add_circle:"):
        go("new")
    st.caption("If you have no video, `videopath demo` draws a sample case and diagnoses it.")


def _sifted(rows: Sequence[WorklistRow]) -> list[WorklistRow]:
    """Ask for filter, words and order, and return the matching rows."""
    counts = Counter(row.status for row in rows)
    selected_statuses = st.session_state.get("filter_status") or []
    statuses = st.pills(
        "Status",
        [status for status in STATUSES if status in counts or status in selected_statuses],
        selection_mode="multi",
        format_func=lambda status: f"{STATUSES[status].icon} {status} {counts[status]}",
        key="filter_status",
    )
    words, sites, order = st.columns([3, 2, 2])
    text = words.text_input(
        "Search", key="search", placeholder="case, video or diagnosis", icon=":material/search:"
    )
    of_sites = sites.multiselect(
        "Site", sorted({row.site for row in rows}), key="filter_site", placeholder="every site"
    )
    by = order.selectbox("Order", ORDERS, format_func=lambda option: option.name, key="sort")
    matching = sift(rows, statuses=statuses, sites=of_sites, words=text, order=by)
    number = f"{len(matching):,} of {len(rows):,}" if len(matching) < len(rows) else f"{len(rows):,}"
    st.caption(f"{number} case{'' if len(rows) == 1 else 's'}")
    return matching


def _comparison(rows: Sequence[WorklistRow]) -> None:
    """The cases that are chosen for a comparison, if any."""
    by_id = {row.entry.case_id: row for row in rows}
    selected_ids = [case_id for case_id in st.session_state.get(CHOSEN, []) if case_id in by_id]
    st.session_state[CHOSEN] = selected_ids
    if not selected_ids:
        return
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", key="comparison", gap="medium"
    ):
        st.text(
            " and ".join(f"{by_id[case_id].video} ({case_id})" for case_id in selected_ids), width="stretch"
        )
        if len(selected_ids) == 1:
            st.caption("Choose another case; runs of the same video come first.")
        elif st.button("Compare", key="compare_chosen", type="primary", icon=":material/compare_arrows:"):
            go("compare", a=selected_ids[0], b=selected_ids[1])
        st.button("Clear", key="clear_chosen", type="tertiary", on_click=_choose_none)


def _choose_none() -> None:
    st.session_state.pop(CHOSEN, None)


def _page_of(shared: Services, rows: Sequence[WorklistRow], jobs: Mapping[str, JobState]) -> None:
    if not rows:
        st.info("No case matches: remove a filter or a word.", icon=":material/filter_alt_off:")
        return
    selected_ids = st.session_state.get(CHOSEN, [])
    if len(selected_ids) == 1:
        rows = same_video_first(rows, shared.library.entry(selected_ids[0]).video)
    pages = -(-len(rows) // _ROWS)
    if st.session_state.get("page", 1) > pages:
        del st.session_state["page"]  # fewer cases are left
    number = st.session_state.get("page", 1)
    for row in rows[(number - 1) * _ROWS : number * _ROWS]:
        case_row(shared, row, jobs.get(row.entry.case_id))
    if pages > 1:
        st.pagination(pages, key="page")


@st.fragment(run_every=_INTERVAL)
def _watch(shared: Services, drawn_digest: str) -> None:
    """Draw the page again when a case has made progress; ``drawn_digest`` is the digest of the page."""
    if _digest(*_rows(shared)) != drawn_digest:
        st.rerun()


def _digest(rows: Sequence[WorklistRow], jobs: Mapping[str, JobState]) -> str:
    """The statuses, and the progress of running cases, as text."""
    steps = sorted(f"{job.case_id} {job.phase} {job.position} {job.step}" for job in jobs.values())
    return "\n".join([str(Counter(row.status for row in rows)), *steps])
