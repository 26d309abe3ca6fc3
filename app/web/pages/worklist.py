"""The page Worklist: all cases of the home folder, to find, open, resume, compare or delete."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from videopath.agent.cases.storage.pages import ORDERS
from videopath.agent.cases.worklist import Sifting, Worklist
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import STATUSES, open_jobs, status_of
from videopath.app.web.components.worklist.case_row import CHOSEN, case_row
from videopath.app.web.components.worklist.deletion import deletion_dialog
from videopath.app.web.components.worklist.filters import NO_SITE, WorklistRow
from videopath.app.web.runtime.services import Services, services
from videopath.app.web.runtime.worker import JobState
from videopath.core.errors import CaseError

_ROWS = 50  # cases on one page
_INTERVAL = 3.0  # seconds between two checks while a case runs


def show() -> None:
    """Draw the cases, a page at a time."""
    shared = services()
    worklist, jobs = _state(shared)
    counts = worklist.counts()
    st.title("Worklist")
    if not counts:
        _nothing_yet()
        return
    sifting = _sifting(worklist, counts)
    chosen = _comparison(shared)
    if len(chosen) == 1:
        sifting = replace(sifting, video=chosen[0].entry.video)
    deletion_dialog(shared)
    with st.container(key="worklist"):
        _page_of(shared, worklist, sifting, jobs)
    if counts.keys() & {"queued", "running"}:
        _watch(shared, _digest(counts, jobs))


def _state(shared: Services) -> tuple[Worklist, dict[str, JobState]]:
    jobs = open_jobs(shared.worker.queue())
    waiting = [case_id for case_id, job in jobs.items() if job.phase == "queued"]
    return Worklist(shared.library, waiting), jobs


def _nothing_yet() -> None:
    st.info(
        "There are no cases yet. Start with a video or an image of a slide: give its path on this machine, or upload it.",
        icon=":material/inbox:",
    )
    if st.button("New case", key="first_case", type="primary", icon=":material/add_circle:"):
        go("new")
    st.caption("If you have no video, `videopath demo` draws a sample case and diagnoses it.")


def _sifting(worklist: Worklist, counts: Mapping[str, int]) -> Sifting:
    """Ask for filter, words and order, and return them."""
    selected_statuses = st.session_state.get("filter_status") or []
    statuses = st.pills(
        "Status",
        [status for status in STATUSES if status in counts or status in selected_statuses],
        selection_mode="multi",
        format_func=lambda status: f"{STATUSES[status].icon} {status} {counts.get(status, 0)}",
        key="filter_status",
    )
    words, sites, order = st.columns([3, 2, 2])
    text = words.text_input(
        "Search", key="search", placeholder="case, video or diagnosis", icon=":material/search:"
    )
    of_sites = sites.multiselect(
        "Site",
        [site or NO_SITE for site in worklist.sites()],
        key="filter_site",
        placeholder="every site",
    )
    by = order.selectbox("Order", ORDERS, key="sort")
    sifting = Sifting(
        tuple(statuses), tuple(None if site == NO_SITE else site for site in of_sites), text, by
    )
    total = sum(counts.values())
    matching = worklist.count(sifting)
    number = f"{matching:,} of {total:,}" if matching < total else f"{total:,}"
    st.caption(f"{number} case{'' if total == 1 else 's'}")
    return sifting


def _comparison(shared: Services) -> list[WorklistRow]:
    """Draw the cases that are chosen for a comparison, if any, and return them."""
    chosen = []
    for case_id in st.session_state.get(CHOSEN, []):
        with suppress(CaseError):  # it was deleted
            chosen.append(WorklistRow(shared.library.entry(case_id), ""))
    selected_ids = [row.entry.case_id for row in chosen]
    st.session_state[CHOSEN] = selected_ids
    if not chosen:
        return []
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", key="comparison", gap="medium"
    ):
        st.text(" and ".join(f"{row.video} ({row.entry.case_id})" for row in chosen), width="stretch")
        if len(selected_ids) == 1:
            st.caption("Choose another case; runs of the same video come first.")
        elif st.button("Compare", key="compare_chosen", type="primary", icon=":material/compare_arrows:"):
            go("compare", a=selected_ids[0], b=selected_ids[1])
        st.button("Clear", key="clear_chosen", type="tertiary", on_click=_choose_none)
    return chosen


def _choose_none() -> None:
    st.session_state.pop(CHOSEN, None)


def _page_of(shared: Services, worklist: Worklist, sifting: Sifting, jobs: Mapping[str, JobState]) -> None:
    number = st.session_state.get("page", 1)
    matching = worklist.count(sifting)
    if not matching:
        st.info("No case matches: remove a filter or a word.", icon=":material/filter_alt_off:")
        return
    pages = -(-matching // _ROWS)
    if number > pages:
        del st.session_state["page"]  # fewer cases are left
        number = 1
    for entry in worklist.page(sifting, _ROWS, (number - 1) * _ROWS):
        case_row(shared, WorklistRow(entry, status_of(entry, jobs)), jobs.get(entry.case_id))
    if pages > 1:
        st.pagination(pages, key="page")


@st.fragment(run_every=_INTERVAL)
def _watch(shared: Services, drawn_digest: str) -> None:
    """Draw the page again when a case has made progress; ``drawn_digest`` is the digest of the page."""
    worklist, jobs = _state(shared)
    if _digest(worklist.counts(), jobs) != drawn_digest:
        st.rerun()


def _digest(counts: Mapping[str, int], jobs: Mapping[str, JobState]) -> str:
    """The statuses, and the progress of running cases, as text."""
    steps = sorted(f"{job.case_id} {job.phase} {job.position} {job.step}" for job in jobs.values())
    return "\n".join([str(sorted(counts.items())), *steps])
