"""Sign-out: the signature, the report as it will be read, downloads, and the way into a knowledge base."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from videopath.agent import CaseReport
from videopath.app.web.parts.choices import knowledge_name
from videopath.app.web.parts.inert import inert
from videopath.app.web.parts.lost_words import keep_words
from videopath.app.web.parts.view import CaseView
from videopath.app.web.services import Services
from videopath.core.errors import VideoPathError

_TOLD = "signout_problem"  # in the session: why it was not signed or added
_ADDED = "signout_added"  # in the session: what was added where
_FIELDS = {"sign_diagnosis": "Diagnosis", "sign_name": "Your name", "sign_comment": "Comment"}
_FRAME_LINK = re.compile(r"\[(\d+)\]\(frames/[^)\s]*\)")
_HEADING = re.compile(r"^#+ ", re.MULTILINE)
_STREAMLIT_MARKS = re.compile(
    r"\$|:(?=[\w+/-]+:)|:(?=[a-z-]+\\\[)|:(?=//)|\bwww(?=\\?\.)|@(?=\w)", re.IGNORECASE
)  # addresses are looked for when the escapes are gone


def signout(view: CaseView, shared: Services) -> None:
    """What follows a finished case."""
    assert view.report is not None
    report = view.report
    st.subheader("Sign out and export", anchor=False)
    told = st.session_state.pop(_TOLD, "")
    if told:
        st.error(inert(told), icon=":material/error:")
    if report.status in ("done", "abstained"):
        _signature(report, shared)
    elif report.status == "signed":
        _signed(report, shared)
    elif report.status == "rejected":
        st.warning("A person rejected this case: it is not signed.", icon=":material/thumb_down:")
    _downloads(report)
    with st.expander("The report as it is exported", icon=":material/description:", key="preview"):
        st.markdown(previewed(report.to_markdown()))


def previewed(markdown: str) -> str:
    """The report's Markdown for Streamlit: links into the bundle lead nowhere here, and Streamlit reads more marks."""
    text = _HEADING.sub(r"##\g<0>", _FRAME_LINK.sub(r"\1", markdown))  # below the page's own headings
    return _STREAMLIT_MARKS.sub(
        lambda mark: f"\\{mark[0]}" if mark[0] == "$" else f"{mark[0]}\N{WORD JOINER}", text
    )


def _signature(report: CaseReport, shared: Services) -> None:
    with st.form("signature", border=True):
        if report.status == "abstained":
            st.text("The agent abstained: give the diagnosis that you sign.")
        st.text_input(
            "Diagnosis to sign",
            value="" if report.status == "abstained" else report.diagnosis,
            placeholder=report.diagnosis,
            key="sign_diagnosis",
        )
        name, comment = st.columns(2)
        name.text_input("Your name", key="sign_name")
        comment.text_input("Comment", key="sign_comment")
        st.form_submit_button(
            "Sign the case",
            key="sign",
            type="primary",
            icon=":material/verified:",
            on_click=_sign,
            args=(report, shared),
        )


def _sign(report: CaseReport, shared: Services) -> None:
    state = st.session_state
    try:
        shared.library.sign(
            report.case_id,
            state["sign_name"],
            state["sign_comment"].strip(),
            state["sign_diagnosis"].strip() or None,
        )
    except VideoPathError as error:
        state[_TOLD] = str(error)
        if shared.library.entry(report.case_id).status == "signed":  # the form goes, what was typed stays
            keep_words(report.case_id, {label: str(state.get(key) or "") for key, label in _FIELDS.items()})


def _signed(report: CaseReport, shared: Services) -> None:
    last = report.review[-1]
    who = f"Signed by {last.reviewer or 'an unnamed reviewer'} on {last.decided[:16].replace('T', ' ')} UTC."
    st.success(inert(who), icon=":material/verified:")
    folder = _knowledge_folder(report, shared)
    added = st.session_state.pop(_ADDED, "")
    if added:
        st.success(inert(added), icon=":material/library_add_check:")
    patient, group = st.columns(2)
    whose = "Cases of the same are then never answered with this one."
    patient.text_input("Patient", key="record_patient", placeholder="not given", help=whose)
    group.text_input("Group", key="record_group", placeholder="not given", help=f"A study, say. {whose}")
    st.button(
        f"Add it to the knowledge base “{inert(knowledge_name(folder))}”",
        key="add_to_knowledge",
        icon=":material/library_add:",
        on_click=_add,
        args=(report, folder),
    )


def _add(report: CaseReport, folder: Path) -> None:
    from videopath.agent.learning import add_to_knowledge

    patient, group = (st.session_state[key].strip() or None for key in ("record_patient", "record_group"))
    try:
        record = add_to_knowledge(report, folder, patient=patient, group=group)
    except VideoPathError as error:
        st.session_state[_TOLD] = str(error)
        return
    st.session_state[_ADDED] = f"Added as {record} to {knowledge_name(folder)}."


def _knowledge_folder(report: CaseReport, shared: Services) -> Path:
    """That which the case was worked on with; the bundled starter is not changed, so another stands beside it."""
    from videopath.knowledge.bundled import STARTER_FOLDER

    own = report.settings.knowledge or shared.settings.knowledge
    if own and Path(own).expanduser().resolve() != STARTER_FOLDER.resolve():
        return Path(own)
    return shared.home / "knowledge" / "signed-cases"


def _downloads(report: CaseReport) -> None:
    name = report.case_id
    kinds: tuple[tuple[str, str, str, str, Callable[[], bytes | str]], ...] = (
        ("pdf", "PDF", f"{name}.pdf", "application/pdf", lambda: report.to_pdf()),
        ("md", "Markdown", f"{name}.md", "text/markdown", report.to_markdown),
        ("json", "JSON", f"{name}.json", "application/json", report.to_json),
        ("bundle", "Bundle", f"{name}.zip", "application/zip", lambda: _bundle(report)),
    )
    with st.container(horizontal=True, key="downloads"):
        for key, word, file_name, mime, made in kinds:
            st.download_button(
                word,
                made,
                file_name=file_name,
                mime=mime,
                key=f"download_{key}",
                icon=":material/download:",
                on_click="ignore",
            )


def _bundle(report: CaseReport) -> bytes:
    """Report, trace, evidence frames and manifest in one zip."""
    with tempfile.TemporaryDirectory() as folder:
        return report.save_bundle(Path(folder) / f"{report.case_id}.zip").read_bytes()
