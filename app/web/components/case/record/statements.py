"""The statements of the models, the agent and people on a case, in order."""

from __future__ import annotations

import streamlit as st

from videopath.agent import CaseReport
from videopath.agent.report.phrases import abstention_in_words, confidence_in_words
from videopath.agent.report.sections import AGENT_SAID, ReportSection
from videopath.agent.report.statements import agent_diagnosis_in_words, statements
from videopath.app.web.components.shared.tables import table
from videopath.core.clock import minute


def statement_table(report: CaseReport) -> None:
    """Draw the statements of the models, the agent and people.

    Nothing is drawn if there is no second opinion, and no decision or addendum of a person.
    """
    if not (report.review or report.addenda or report.second_opinion):
        return
    with st.container(key="said"):
        st.header(ReportSection.STATEMENTS.value, anchor=False)
        rows = [
            (s.who, minute(s.when) or "–", s.act or "–", s.diagnosis or "–", s.comment or "–")
            for s in statements(report)
        ]
        table(("who", "when (UTC)", "decision", "diagnosis", "comment"), rows)
        if report.has_persons_diagnosis:
            _agent_part(report)


def _agent_part(report: CaseReport) -> None:
    with st.container(key="agent_said", gap=None):
        st.markdown(f"**{AGENT_SAID}**")
        agents = agent_diagnosis_in_words(report) or "no diagnosis"
        st.text(f"{agents}, confidence {confidence_in_words(report)}")
        for sentence in (abstention_in_words(report), *report.advice, report.rationale):
            if sentence:
                st.text(sentence)
