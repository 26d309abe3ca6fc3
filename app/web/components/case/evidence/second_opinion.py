"""The second opinion: what another model said of the same frames."""

from __future__ import annotations

import streamlit as st

from videopath.agent.cases.records import CaseReport
from videopath.agent.report.phrases import (
    candidate_in_words,
    second_opinion_in_words,
    second_opinion_rows,
)
from videopath.agent.report.sections import SECOND_COLUMNS, ReportSection
from videopath.app.web.components.shared.tables import table


def second_opinion(report: CaseReport) -> None:
    """Draw the second opinion of a report in a sentence; its differential and its words open on a click."""
    opinion = report.second_opinion
    if opinion is None:
        return
    with st.container(key="second_opinion", gap=None):
        st.text(second_opinion_in_words(report))
        with st.expander(ReportSection.SECOND_OPINION.value, type="compact", icon=":material/groups:"):
            if opinion.differential:
                rows = [
                    (candidate_in_words(c), f"{c.probability:.1%}", "; ".join(c.support) or "–")
                    for c in opinion.differential
                ]
                table(SECOND_COLUMNS, rows)
            table(("", "value"), second_opinion_rows(report))
