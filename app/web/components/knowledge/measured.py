"""What a knowledge base found out about its own cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.figures import measure as shown
from videopath.app.figures.plots import Dot, dots
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.tables import table

if TYPE_CHECKING:
    from videopath.app.figures.plots import Plot
    from videopath.knowledge import KnowledgeBase, Measure


def measure_of(base: KnowledgeBase) -> None:
    """How often the vote of its cases is right; nothing for a base without pictures."""
    if base.voting_encoder is None:
        return
    with st.expander("How often its cases are right"):
        found = base.measure
        if found is None:
            st.info(shown.NOT_MEASURED, icon=":material/straighten:")
            return
        st.write(inert(shown.summary(found)))
        words = "; ".join(f"{row[0]} {row[4]}" for row in shown.diagnoses(found))
        st.altair_chart(_plot(found), width="stretch", key="measure_by_diagnosis", alt=words)
        for head, rows in shown.tables(found):
            table(head, rows)


def _plot(measure: Measure) -> Plot:
    rows = {
        f"{found.diagnosis} ({found.cases} of {found.groups} groups)": [
            Dot("cases", found.accuracy.value, found.accuracy.low, found.accuracy.high)
        ]
        for found in measure.diagnoses
        if found.accuracy
    }
    return dots(rows, "share that is right, its own group left out", palette())
