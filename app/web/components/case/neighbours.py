"""Similar cases as cards, and how they changed the answer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from videopath.agent.cases.records import SimilarCase
from videopath.agent.report.phrases import BALLOT_COLUMNS, ballots_in_words, vote_in_words
from videopath.agent.report.sections import ReportSection
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.tools.context import ranks_in_words
from videopath.tools.schemas import CasesVote


def neighbours(
    similar: Sequence[SimilarCase], sentence: str, left_out: Sequence[str] = (), vote: CasesVote | None = None
) -> None:
    """Draw the similar cases and their vote.

    Args:
        similar: The similar cases.
        sentence: Whether they changed the diagnosis; may be empty.
        left_out: Sentences on records that the search left out.
        vote: The vote of the cases.
    """
    with st.container(key="neighbours"):
        st.header(ReportSection.SIMILAR_CASES.value, anchor=False)
        if sentence:
            st.info(inert(sentence), icon=":material/compare_arrows:")
        if not similar:
            st.text("No similar case was found, or the search has not run yet.")
        for first in range(0, len(similar), 2):  # row by row: a narrow screen with one column keeps the order
            for column, case in zip(st.columns(2), similar[first : first + 2], strict=False):
                with column:
                    _card(case)
        if vote is not None:
            st.markdown(f"**{ReportSection.VOTE.value}**")
            st.text(vote_in_words(vote))
            table(BALLOT_COLUMNS, ballots_in_words(vote))
        for excluded in left_out:
            st.caption(inert(excluded))


def _card(case: SimilarCase) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            if case.kept:
                st.badge("kept", icon=":material/check:", color="green")
            else:
                st.badge("dropped", icon=":material/block:", color="gray")
            st.markdown(f"**{inert(case.diagnosis)}**")
        st.progress(min(max(case.score, 0.0), 1.0), text=f"similarity {case.score:.3f}")
        if ranks := ranks_in_words(case.ranks):
            st.caption(f"ranks: {ranks}")
        st.text(case.description)
        st.caption(inert(f"{case.id} · from {case.source}" + (f" · {case.why}" if case.why else "")))
