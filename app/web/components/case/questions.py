"""The questions that were asked about a case after its diagnosis, with their answers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from videopath.agent import FollowUp
from videopath.agent.report.phrases import follow_up_in_words, follow_up_source
from videopath.agent.report.sections import NOT_PART, ReportSection
from videopath.app.web.components.shared.inert import inert


def asked_afterwards(questions: Sequence[FollowUp]) -> None:
    """Draw the questions, each with its answer or with why there is none; nothing without questions."""
    if not questions:
        return
    with st.container(key="questions"):
        st.subheader(ReportSection.QUESTIONS.value, anchor=False)
        st.caption(NOT_PART)
        for asked in questions:
            with st.container(gap=None):
                st.markdown(f"**{inert(asked.question)}**")
                st.text(follow_up_in_words(asked))
                st.caption(inert(follow_up_source(asked)))
