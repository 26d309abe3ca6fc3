"""Sign-out: the signature, the report as it will be read, downloads, and the way into a knowledge base."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from videopath.agent import CaseReport
from videopath.app.web.components.shared.choices import knowledge_name
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services
from videopath.core.clock import minute
from videopath.core.errors import VideoPathError
from videopath.core.folders import visitor_path

_TOLD = "signout_problem"  # in the session: why it was not signed or added
_LOST = "signout_lost"  # in the session: what a person typed who came too late to sign
_FILLED = "signout_filled"  # in the session: what the forms were filled in for
_ADDED = "signout_added"  # in the session: what was added where
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
    """The form to sign with: all that the report says may be corrected."""
    _fill_in(
        report,
        {
            "sign_diagnosis": "" if report.status == "abstained" else report.diagnosis,
            "sign_description": report.description,
            "sign_findings": _lines(report),
            "sign_confirm": False,
            "sign_name": "",
            "sign_comment": "",
        },
    )
    with st.form("signature", border=True):
        if report.status == "abstained":
            st.text("The agent abstained: give the diagnosis that you sign.")
        st.text_input("Diagnosis to sign", placeholder=report.diagnosis, key="sign_diagnosis")
        st.text_area(
            "Description",
            key="sign_description",
            height=120,
            help="Left empty: the findings are the description.",
        )
        st.text_area("Findings, one on each line", key="sign_findings", height=140)
        st.checkbox("I have read description and findings and confirm them", key="sign_confirm")
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


def _fill_in(report: CaseReport, begin: dict[str, Any]) -> None:
    """A form begins as the report stands; what was typed stays until another case, or another state, is shown."""
    state, shown = st.session_state, (report.case_id, report.status, len(report.addenda))
    another = state.get(_FILLED) != shown
    state[_FILLED] = shown
    for key, value in begin.items():
        if another or key not in state:
            state[key] = value


def _sign(report: CaseReport, shared: Services) -> None:
    state = st.session_state
    try:
        shared.library.sign(
            report.case_id,
            state["sign_name"],
            state["sign_comment"].strip(),
            state["sign_diagnosis"].strip() or None,
            description=state["sign_description"],
            findings=state["sign_findings"].splitlines(),
            confirmed=state["sign_confirm"],
        )
    except VideoPathError as error:
        state[_TOLD] = str(error)
        if shared.library.entry(report.case_id).status == "signed":
            keep_for_addendum(report, "sign_", "sign_name", "sign_comment")


def keep_for_addendum(report: CaseReport, fields: str, name: str, comment: str) -> None:
    """What stood in the form of a person who came too late goes into the form of an addendum, to be added or copied.

    ``fields`` is what the form's keys begin with; ``name`` and ``comment`` are the keys of those two.
    """
    state = st.session_state
    changed = [
        (word, state[key].strip())
        for word, key, before in (
            ("Description", f"{fields}description", report.description),
            ("Findings", f"{fields}findings", _lines(report)),
            ("Comment", comment, ""),
        )
        if state[key].strip() not in ("", before.strip())
    ]
    state[_LOST] = {
        "addendum_diagnosis": state[f"{fields}diagnosis"].strip(),
        "addendum_text": "\n".join(f"{word}: {text}" for word, text in changed),
        "addendum_name": state[name].strip(),
    }


def _signed(report: CaseReport, shared: Services) -> None:
    last = report.review[-1]
    who = f"Signed by {last.reviewer or 'an unnamed reviewer'} on {minute(last.decided)} UTC."
    st.success(inert(who), icon=":material/verified:")
    _addenda(report, shared)
    _learning(report, shared)


def _addenda(report: CaseReport, shared: Services) -> None:
    """What was added after the signature, and the form to add more."""
    with st.container(key="addenda"):
        for added in report.addenda:
            st.markdown(inert(f"Addendum by {added.reviewer} on {minute(added.added)} UTC"))
            if added.diagnosis:
                st.text(f"Diagnosis: {added.diagnosis}")
            st.text(added.text)
    typed = st.session_state.pop(_LOST, {})
    begin = {"addendum_diagnosis": "", "addendum_text": "", "addendum_name": "", **_record_of(report)}
    _fill_in(report, begin)
    st.session_state.update(typed)
    with (
        st.expander("Add an addendum", icon=":material/note_add:", expanded=bool(typed), key="addendum_fold"),
        st.form("addendum", border=False),
    ):
        st.text_area("What you add; what was signed stays", key="addendum_text", height=120)
        other, name = st.columns(2)
        other.text_input("Another diagnosis, where there is one", key="addendum_diagnosis")
        name.text_input("Your name", key="addendum_name")
        st.form_submit_button(
            "Add the addendum",
            key="add_addendum",
            icon=":material/note_add:",
            on_click=_append,
            args=(report, shared),
        )


def _append(report: CaseReport, shared: Services) -> None:
    state = st.session_state
    try:
        shared.library.add_addendum(
            report.case_id, state["addendum_name"], state["addendum_text"], state["addendum_diagnosis"]
        )
    except VideoPathError as error:
        state[_TOLD] = str(error)


def _record_of(report: CaseReport) -> dict[str, Any]:
    """What the form of a record begins with: no sentence by which the model says that it does not know."""
    from videopath.agent.decision.not_known import not_known_in, without_not_known

    own = report.provenance.get("unknown_label")
    findings = [line for line in _lines(report).splitlines() if not not_known_in(line, own)]
    return {
        "record_description": without_not_known(report.description, own),
        "record_findings": "\n".join(findings),
        "record_confirm": False,
        "record_name": "",
        "record_patient": "",
        "record_group": "",
    }


def _learning(report: CaseReport, shared: Services) -> None:
    """The way into a knowledge base: a person confirms or writes what will be learned."""
    folder = _knowledge_folder(report, shared)
    added = st.session_state.pop(_ADDED, "")
    if added:
        st.success(inert(added), icon=":material/library_add_check:")
    with st.form("record", border=True):
        st.markdown("**What other cases learn from this one**")
        st.text_input("Diagnosis", report.amended_diagnosis or report.diagnosis, disabled=True)
        st.text_area("Description", key="record_description", height=120)
        st.text_area("Findings, one on each line", key="record_findings", height=140)
        patient, group = st.columns(2)
        whose = "Cases of the same are then never answered with this one."
        patient.text_input("Patient", key="record_patient", placeholder="not given", help=whose)
        group.text_input("Group", key="record_group", placeholder="not given", help=f"A study, say. {whose}")
        st.text_input("Your name", key="record_name")
        st.checkbox("I have read description and findings and confirm them", key="record_confirm")
        st.form_submit_button(
            f"Add it to the knowledge base “{inert(knowledge_name(folder))}”",
            key="add_to_knowledge",
            icon=":material/library_add:",
            on_click=_add,
            args=(report, folder, shared),
        )


def _add(report: CaseReport, folder: Path, shared: Services) -> None:
    from videopath.agent.cases.learning import add_to_knowledge

    state = st.session_state
    if not state["record_confirm"]:
        state[_TOLD] = "Nothing was added: read description and findings, correct them, and confirm them."
        return
    description, findings = state["record_description"], state["record_findings"].splitlines()
    unchanged = description == report.description and state["record_findings"] == _lines(report)
    if not unchanged and not f"{description}{''.join(findings)}".strip():
        state[_TOLD] = "Nothing was added: write a description or a finding."
        return
    patient, group = (state[key].strip() or None for key in ("record_patient", "record_group"))
    words: dict[str, Any] = (
        {"confirmed": True} if unchanged else {"description": description, "findings": findings}
    )
    try:
        visitor_path(folder, shared.settings)
        record = add_to_knowledge(
            report, folder, patient=patient, group=group, reviewer=state["record_name"], **words
        )
    except VideoPathError as error:
        state[_TOLD] = str(error)
        return
    state[_ADDED] = f"Added as {record} to {knowledge_name(folder)}."


def _lines(report: CaseReport) -> str:
    return "\n".join(finding.text for finding in report.findings)


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
        ("json", "JSON", f"{name}.json", "application/json", lambda: report.without_paths().to_json()),
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
