"""The evidence of a case that the agent abstained on: who knows what, why nobody vouches, leads, and what to do now."""

from __future__ import annotations

import streamlit as st

from videopath.agent.cases.records import CaseReport, Voucher
from videopath.agent.report.phrases import abstention_in_words, marked
from videopath.app.web.components.case.colleague import ask_colleague
from videopath.app.web.components.case.decision.review import open_corrections
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services
from videopath.tools.answers.labels import NO_DIAGNOSIS
from videopath.tools.schemas import CasesVote

AGAIN = "run_again_open"
"""In the session: whether the dialog to run the case again is asked for."""


def abstained(report: CaseReport | None) -> bool:
    """Return whether the page of an abstention is shown: nobody has given a diagnosis yet."""
    return report is not None and report.abstained and report.status in ("abstained", "waiting for review")


def abstention(view: CaseView, shared: Services) -> None:
    """Draw why there is no diagnosis, what is known all the same, and buttons for what helps."""
    report = view.report
    assert report is not None
    with st.container(key="abstention", gap="xsmall"):
        st.header("No diagnosis is given out", anchor=False)
        st.text(abstention_in_words(report))
        model, base = st.columns(2, gap="small")
        with model, st.container(border=True, gap="xsmall", key="model_knows"):
            st.markdown("**What the model knows**")
            _model(report)
        with base, st.container(border=True, gap="xsmall", key="base_knows"):
            st.markdown("**What the knowledge base knows**")
            _cases(report, view.evidence.vote)
        _actions(view, report, shared)
        if advice := _further_advice(report):
            with st.container(key="advice", gap=None):
                st.markdown("**What would help**")
                for sentence in advice:
                    st.text(f"• {sentence}")


def _model(report: CaseReport) -> None:
    voucher = _voucher(report, "model")
    of_model = [candidate for candidate in report.differential if candidate.of_model is not None]
    if not of_model or report.diagnosis == NO_DIAGNOSIS:
        st.text("It names no diagnosis for this tissue.")
    else:
        best = max(of_model, key=lambda candidate: candidate.of_model or 0.0)
        st.text(
            f"Its first choice is {marked(report, best.label)} ({best.of_model or 0:.0%} of its candidates)."
        )
    _reasons(voucher, "It was never measured whether such an answer is right.")


def _cases(report: CaseReport, vote: CasesVote | None) -> None:
    voucher = _voucher(report, "cases")
    if vote is None:
        st.text("No case with a picture voted.")
    else:
        share = vote.shares[vote.diagnosis]
        st.text(
            f"The nearest {len(vote.ballots)} say {vote.diagnosis} ({share:.0%}); similarity {vote.nearness:.2f}."
        )
    _reasons(voucher, "")


def _voucher(report: CaseReport, by: str) -> Voucher | None:
    return next((voucher for voucher in report.vouchers if voucher.by == by), None)


def _reasons(voucher: Voucher | None, unknown: str) -> None:
    if voucher is None or not voucher.reasons:
        if voucher is None and unknown:
            st.caption(unknown)
        return
    for reason in voucher.reasons:
        st.caption(inert(reason))


def _further_advice(report: CaseReport) -> list[str]:
    """The advice without the reasons that stand with the model and the cases."""
    said = [reason for voucher in report.vouchers for reason in voucher.reasons]
    return [sentence for sentence in report.advice if not any(reason in sentence for reason in said)]


def _actions(view: CaseView, report: CaseReport, shared: Services) -> None:
    """The buttons that do what the advice says."""
    with st.container(horizontal=True, gap="xsmall", key="abstention_actions"):
        st.button(
            "Write my own diagnosis",
            key="write_own",
            icon=":material/edit_note:",
            on_click=open_corrections,
        )
        for key, label, icon in (
            ("set_site", "Change the site" if report.site else "Set the site", "location_on"),
            ("other_model", "Another model or a second opinion", "model_training"),
            ("other_segment", "Another segment", "content_cut"),
        ):
            st.button(label, key=key, icon=f":material/{icon}:", on_click=ask_again)
        if st.button("Add cases like this", key="add_cases", icon=":material/library_add:"):
            go("knowledge")
        ask_colleague(view, shared)


def ask_again() -> None:
    """Open the dialog to run the case again when the page is drawn next (a button's ``on_click``)."""
    st.session_state[AGAIN] = True
