"""The page Worklist: all cases of the home folder, to find, open, resume, assign, export, compare or delete.

Filters, words, order and page are in the address, so that a link or the browser's Back shows the same cases.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import streamlit as st

from videopath.agent.cases.storage.pages import ORDERS
from videopath.agent.cases.team.worklist import Sifting, Worklist
from videopath.app.web.components.shared.links import go, open_case
from videopath.app.web.components.shared.status import STATUSES, open_jobs, status_of
from videopath.app.web.components.worklist.actions import actions
from videopath.app.web.components.worklist.address import read_address, write_address
from videopath.app.web.components.worklist.batch import batch_form, batch_problems, batch_progress
from videopath.app.web.components.worklist.case_table import TO_OPEN, case_table
from videopath.app.web.components.worklist.deletion import deletion_dialog
from videopath.app.web.components.worklist.filters import NO_SITE, WorklistRow
from videopath.app.web.components.worklist.thumbnails import Thumbnails
from videopath.app.web.runtime.people import person
from videopath.app.web.runtime.services import Services, services
from videopath.app.web.runtime.worker import JobState

_ROWS = 50  # cases on one page
_INTERVAL = 3.0  # seconds between two checks while a case runs
_PICTURES = 0.5  # seconds until more pictures are made


def show() -> None:
    """Draw the cases, a page at a time."""
    shared = services()
    if case_id := st.session_state.pop(TO_OPEN, None):
        open_case(case_id)
    worklist, jobs = _state(shared)
    counts = worklist.counts()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title("Worklist", anchor=False)
        batch_form(shared)
    batch_problems()
    if not counts:
        _nothing_yet()
        return
    batch_progress(worklist)
    sifting = _sifting(worklist, counts)
    deletion_dialog(shared)
    pictures = Thumbnails()
    with st.container(key="worklist"):
        _page_of(shared, worklist, sifting, jobs, counts, pictures)
    write_address()
    if pictures.missing:
        st.fragment(_more_pictures, run_every=_PICTURES)(time.monotonic())
    elif counts.keys() & {"queued", "running"}:
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
    all_sites = [site or NO_SITE for site in worklist.sites()]
    read_address(all_sites)
    selected = st.session_state["filter_status"]
    statuses = st.pills(
        "Status",
        [status for status in STATUSES if status in counts or status in selected],
        selection_mode="multi",
        format_func=lambda status: f"{STATUSES[status].icon} {status} {counts.get(status, 0):,}",
        key="filter_status",
    )
    words, sites, order, mine = st.columns([3, 2, 2, 1], vertical_alignment="bottom")
    text = words.text_input(
        "Search",
        key="search",
        placeholder="file, diagnosis, signer, comment, site",
        icon=":material/search:",
    )
    of_sites = sites.multiselect(
        "Site",
        all_sites,
        key="filter_site",
        placeholder="every site",
    )
    by = order.selectbox("Order", ORDERS, key="sort")
    me = person()
    is_mine = mine.toggle(
        "Mine",
        key="mine",
        help=f"Cases that {me} is in charge of." if me else "Type your name in the sidebar first.",
    )
    return Sifting(
        tuple(statuses),
        tuple(None if site == NO_SITE else site for site in of_sites),
        text,
        by,
        assigned=me if is_mine else None,
    )


def _page_of(
    shared: Services,
    worklist: Worklist,
    sifting: Sifting,
    jobs: Mapping[str, JobState],
    counts: Mapping[str, int],
    pictures: Thumbnails,
) -> None:
    total, matching = sum(counts.values()), worklist.count(sifting)
    number = f"{matching:,} of {total:,}" if matching < total else f"{total:,}"
    st.caption(f"{number} case{'' if total == 1 else 's'}")
    if not matching:
        st.info("No case matches: remove a filter or a word.", icon=":material/filter_alt_off:")
        return
    pages = -(-matching // _ROWS)
    if st.session_state.get("page", 1) > pages:
        del st.session_state["page"]  # fewer cases are left
    above = st.container()
    page = st.container()
    chosen = st.pagination(pages, key="page") if pages > 1 else 1
    rows = [
        WorklistRow(entry, status_of(entry, jobs))
        for entry in worklist.page(sifting, _ROWS, (chosen - 1) * _ROWS)
    ]
    with page:
        ticked = case_table(shared, rows, jobs, pictures)
    with above:
        actions(shared, worklist, ticked)


def _more_pictures(drawn: float) -> None:
    """Draw the page again for the pictures that were not made when it was drawn."""
    if time.monotonic() - drawn > _PICTURES / 2:
        st.rerun()


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
