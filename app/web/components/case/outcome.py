"""The head of the case page: diagnosis, confidence, status, and what can be done now."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from videopath.agent.cases.records import CaseReport, Voucher
from videopath.agent.report.phrases import (
    confidence_in_words,
    diagnosis_in_words,
    looks_in_words,
    outcome_title,
    question_in_words,
    sent_away_sentence,
    vouchers_in_words,
    writing_sentences,
)
from videopath.agent.report.statements import retrieval_sentence
from videopath.app.web.components.case.colleague import ask_colleague
from videopath.app.web.components.case.evidence.abstention import AGAIN, abstained, ask_again
from videopath.app.web.components.case.evidence.second_opinion import second_opinion
from videopath.app.web.components.case.page_aid import list_of_keys
from videopath.app.web.components.compare.rerun import rerun_dialog
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.status import STATUSES, age
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services

_STATUS_OF_PHASE = {"loading": "running", "stopping": "running", "stopped": "interrupted"}


def outcome(view: CaseView, shared: Services) -> None:
    """Draw the diagnosis or that there is none, the state, the confidence and who vouches; name the browser's tab."""
    headline = _headline(view)
    st.set_page_config(page_title=f"{headline} · {view.state} · VideoPath")
    with st.container(key="outcome", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", key="title_row"):
            st.title(inert(headline), anchor=False)
            if view.report is not None and not view.active:
                st.button(
                    "Run again with …",
                    key="open_again",
                    type="tertiary",
                    icon=":material/replay:",
                    on_click=ask_again,
                )
                if not abstained(view.report):  # the page of an abstention has this button, too
                    ask_colleague(view, shared)
            list_of_keys()
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="facts"):
            style = STATUSES[_STATUS_OF_PHASE.get(view.state, view.state)]
            st.badge(view.state, icon=style.icon, color=style.colour)
            if view.report is not None:
                _badges(view.report)
            entry = view.entry
            facts = (
                PurePath(entry.video).name,
                entry.site or "site not given",
                entry.model,
                age(entry.created),
                *([f"assigned to {entry.assigned}"] if entry.assigned else []),
                entry.case_id,
            )
            st.caption(" · ".join(inert(fact) for fact in facts))
    if st.session_state.pop(AGAIN, False) and view.report is not None:
        rerun_dialog(shared, view.report)


def _badges(report: CaseReport) -> None:
    """The confidence, who vouches for the agent's diagnosis, and a diagnosis of an addendum."""
    if report.diagnosis and not report.has_persons_diagnosis:
        if not report.abstained:  # the number would be taken for that of a diagnosis
            st.badge(f"confidence {confidence_in_words(report)}", icon=":material/speed:", color="gray")
        for voucher in report.vouchers:
            st.badge(
                inert(voucher_in_short(voucher)),
                icon=":material/close:" if voucher.reasons else ":material/check:",
                color="orange" if voucher.reasons else "green",
            )
    if report.amended_diagnosis:
        st.badge(inert(f"addendum: {report.amended_diagnosis}"), icon=":material/note_add:", color="orange")


def voucher_in_short(voucher: Voucher) -> str:
    """Return whether the model or the similar cases vouch, in a few words."""
    who, verb = {"model": ("model", "vouches"), "cases": ("similar cases", "vouch")}[voucher.by]
    if voucher.reasons:
        return f"{who} {'does' if voucher.by == 'model' else 'do'} not vouch"
    return f"{who} {verb}: {voucher.probability or 0:.0%}"


def unknown_case(why: str = "") -> None:
    """Draw the page if the address names no case, or a case that cannot be shown (``why``)."""
    st.title("Case", anchor=False)
    if why:
        st.error(inert(why), icon=":material/error:")
    else:
        st.info("Choose a case in the worklist, or start a new case.", icon=":material/info:")
    with st.container(horizontal=True):
        if st.button("Worklist", key="to_worklist", icon=":material/list_alt:"):
            go("worklist")
        if st.button("New case", key="to_new", icon=":material/add_circle:"):
            go("new")


def blind_sentence(view: CaseView) -> str:
    """Compare the blind with the final diagnosis in a sentence; empty until both exist."""
    blind, final = view.evidence.blind, view.evidence.final
    if not blind or not final:
        return ""
    if blind == final:
        return f"The model answered “{blind}” both without and with the similar cases: they did not change its answer."
    if view.report is not None:
        return (
            f"Without the similar cases the model answered “{blind}”, with them “{final}”. "
            f"{retrieval_sentence(view.report)}"
        )
    return f"Without the similar cases the model answered “{blind}”; they changed its answer to “{final}”."


def _headline(view: CaseView) -> str:
    if view.report is None or not view.report.diagnosis:
        return f"Case of {PurePath(view.entry.video).name}"
    label = diagnosis_in_words(view.report)
    unsure = (
        view.report.abstained and not view.report.has_persons_diagnosis and view.report.status != "rejected"
    )
    title = outcome_title(view.report)
    return f"{title}: {label}" if unsure else label[:1].upper() + label[1:]


def basis(report: CaseReport) -> None:
    """Draw the question, who vouches for the diagnosis, and the results of other looks."""
    if report.question:
        st.text(f"Question: {question_in_words(report)}")
    lines = []
    if not abstained(report):  # the page of an abstention says it itself; its rounds are in the next tab
        lines = [
            *(() if report.has_persons_diagnosis else vouchers_in_words(report)),
            *looks_in_words(report),
        ]
    if lines:
        with st.container(key="looks", gap=None):
            for line in lines:
                st.text(line)
    if report.second_opinion is not None:
        second_opinion(report)
    if report.sent_to:
        st.warning(inert(sent_away_sentence(report.sent_to)), icon=":material/outbound:")


def writing_notes(report: CaseReport) -> None:
    """Draw what was found and filled of burned-in writing."""
    box = st.warning if report.shows_writing else st.info
    for sentence in writing_sentences(report):
        box(inert(sentence), icon=":material/text_fields:")
