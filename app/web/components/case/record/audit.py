"""The audit list of a case: who did what, and when."""

from __future__ import annotations

import streamlit as st

from videopath.agent.cases.team.audit import audit_events
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services
from videopath.core.clock import minute
from videopath.core.errors import CaseError


def audit_list(view: CaseView, shared: Services) -> None:
    """Draw what people did with a case: assigned, revised, signed, rejected, withdrawn, addendum, second reading."""
    with st.container(key="audit"):
        if view.entry.assigned:
            st.text(f"In charge: {view.entry.assigned}")
        try:
            events = audit_events(shared.library, view.case_id)
        except CaseError as error:
            st.error(inert(str(error)), icon=":material/error:")
            return
        if not events:
            st.text("Nobody has done anything with this case yet.")
            return
        rows = [(minute(event.moment), event.who, event.what, event.detail or "–") for event in events]
        table(("when (UTC)", "who", "what", "detail"), rows)
