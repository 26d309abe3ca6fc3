"""The filters, the order and the page of the worklist in the address, so that a link and the browser's Back restore them."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from videopath.agent.cases.storage.pages import ORDERS, Sifting
from videopath.app.web.components.shared.status import STATUSES
from videopath.app.web.components.worklist.filters import NO_SITE

_KEYS = {
    "status": "filter_status",
    "search": "search",
    "site": "filter_site",
    "order": "sort",
    "mine": "mine",
    "page": "page",
}
"""Name in the address → key of the widget."""
_WRITTEN = "worklist_address"  # in the session: what this page wrote last

Address = dict[str, list[str]]


def read_address(sites: Collection[str]) -> None:
    """Set the widgets from the address, if it is not what this page wrote; before they are drawn.

    Args:
        sites: The sites that can be chosen.
    """
    state, address = st.session_state, _present()
    if "id" in st.query_params:  # Back from a case: Streamlit puts its id into the entry before it
        address = state.get(_WRITTEN, {})
    elif address == state.get(_WRITTEN) and _KEYS["search"] in state:
        return
    order, page = address.get("order", [""])[0], address.get("page", [""])[0]
    state["filter_status"] = [status for status in address.get("status", []) if status in STATUSES]
    state["search"] = address.get("search", [""])[0]
    state["filter_site"] = [site for site in address.get("site", []) if site in sites]
    state["sort"] = order if order in ORDERS else ORDERS[0]
    state["mine"] = "mine" in address
    state["page"] = int(page) if page.isdecimal() and 0 < int(page) < 1_000_000 else 1


def write_address() -> None:
    """Write what the widgets hold into the address; the usual values are left out."""
    state = st.session_state
    address: Address = {
        "status": list(state["filter_status"]),
        "search": [state["search"]] if state["search"] else [],
        "site": list(state["filter_site"]),
        "order": [state["sort"]] if state["sort"] != ORDERS[0] else [],
        "mine": ["yes"] if state["mine"] else [],
        "page": [str(state["page"])] if state.get("page", 1) > 1 else [],
    }
    address = {name: values for name, values in address.items() if values}
    state[_WRITTEN] = address
    if address != _present() or "id" in st.query_params:
        st.query_params.from_dict(address)


def last_sifting(me: str) -> Sifting:
    """Return filter, words and order of the worklist as this session saw it last, for other pages.

    Args:
        me: The person whose cases are meant by "mine".
    """
    address: Address = st.session_state.get(_WRITTEN, {})
    order = address.get("order", [""])[0]
    return Sifting(
        tuple(status for status in address.get("status", []) if status in STATUSES),
        tuple(None if site == NO_SITE else site for site in address.get("site", [])),
        address.get("search", [""])[0],
        next((known for known in ORDERS if known == order), ORDERS[0]),
        assigned=me if "mine" in address else None,
    )


def _present() -> Address:
    return {name: values for name in _KEYS if (values := st.query_params.get_all(name))}
