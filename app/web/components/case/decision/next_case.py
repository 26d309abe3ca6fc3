"""Sign and next: the next open case of the worklist's filter, one click away from a decided one."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from videopath.agent.cases.team.worklist import Worklist
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.components.worklist.address import last_sifting
from videopath.app.web.runtime.people import person
from videopath.app.web.runtime.services import Services

OPEN = ("waiting for review", "done", "abstained")
"""The statuses in which a person can decide."""


def next_case(case_id: str, shared: Services) -> None:
    """Draw the button to the next open case of the worklist's filter; if none is left, say so."""
    found = next_open(case_id, shared)
    if found is None:
        st.caption("No other case of your worklist waits for a person.")
        return
    if st.button(
        "Next open case",
        key="next_case",
        type="primary",
        icon=":material/skip_next:",
        help=inert(
            f"{found}: the first case of your worklist, with its filter and order, that waits for a person."
        ),
    ):
        open_case(found)


def next_open(case_id: str, shared: Services) -> str | None:
    """Return the first other case of the worklist's filter and order in which a person can decide; None if none is."""
    sifting = last_sifting(person())
    wanted = tuple(status for status in OPEN if not sifting.statuses or status in sifting.statuses)
    page = Worklist(shared.library).page(replace(sifting, statuses=wanted or OPEN), 2)
    return next((entry.case_id for entry in page if entry.case_id != case_id), None)
