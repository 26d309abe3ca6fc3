"""The measure of a knowledge base: how often the vote of its cases is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.figures.measure import NOT_MEASURED, diagnoses, summary, tables
from videopath.app.figures.plots import Dot, dots
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.tables import table

if TYPE_CHECKING:
    from videopath.app.figures.plots import Plot
    from videopath.knowledge import KnowledgeBase, Measure


def measure_of(base: KnowledgeBase) -> None:
    """Draw the measure; nothing for a base without pictures."""
    if base.voting_encoder is None:
        return
    with st.expander("How often the vote of its cases is right"):
        measure = base.measure
        if measure is None:
            st.info(NOT_MEASURED, icon=":material/straighten:")
            return
        st.write(inert(summary(measure)))
        words = "; ".join(f"{row[0]} {row[4]}" for row in diagnoses(measure))
        st.altair_chart(_plot(measure), width="stretch", key="measure_by_diagnosis", alt=words)
        for head, rows in tables(measure):
            table(head, rows)


def _plot(measure: Measure) -> Plot:
    rows = {
        f"{row.diagnosis} ({row.cases} of {row.groups} groups)": [
            Dot("cases", row.accuracy.value, row.accuracy.low, row.accuracy.high)
        ]
        for row in measure.diagnoses
        if row.accuracy
    }
    return dots(rows, "share of right votes, own group left out", palette())
