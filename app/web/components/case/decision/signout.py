"""After the signature: who signed, addenda, exports and learning from the case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from videopath.agent import CaseReport
from videopath.app.web.components.case.record.exports import exports
from videopath.app.web.components.shared.choices import knowledge_name
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.people import login, person, signer
from videopath.app.web.runtime.services import Services
from videopath.core.clock import minute
from videopath.core.errors import VideoPathError
from videopath.core.folders import visitor_path

_PROBLEM = "signout_problem"  # in the session: the form that was not used, and why
_TOO_LATE = "signout_lost"  # in the session: the text of a person who was too late to sign
_FILLED = "signout_filled"  # in the session: the case and state that the forms were filled for
_ADDED = "signout_added"  # in the session: the record that was added


def signed_bar(report: CaseReport) -> None:
    """Draw who signed the case and when."""
    last = report.review[-1]
    who = f"Signed by {last.reviewer or 'an unnamed reviewer'} on {minute(last.decided)} UTC."
    st.success(inert(who), icon=":material/verified:")


def record(report: CaseReport, shared: Services) -> None:
    """Draw what a finished case is handed on with: exports, and for a signed case addenda and learning."""
    st.header("Export", anchor=False)
    exports(report)
    if report.status == "signed":
        st.header("After the signature", anchor=False)
        _addenda(report, shared)
        _learning(report, shared)


def _failed(form: str) -> bool:
    return bool(st.session_state.get(_PROBLEM)) and st.session_state[_PROBLEM][0] == form


def _problem(form: str) -> None:
    """Show below the button of a form why it was not used."""
    if _failed(form):
        st.error(inert(st.session_state.pop(_PROBLEM)[1]), icon=":material/error:")


def _fill_in(report: CaseReport, defaults: dict[str, Any]) -> None:
    """Fill a form from the report if another case, or another state of the case, is shown than before."""
    state, current = st.session_state, (report.case_id, report.status, len(report.addenda))
    changed = state.get(_FILLED) != current
    state[_FILLED] = current
    for key, value in defaults.items():
        if changed or key not in state:
            state[key] = value


def keep_for_addendum(report: CaseReport, fields: str, name: str, comment: str) -> None:
    """Move the text of a person who was too late to sign into the form of an addendum.

    Args:
        report: The report that the form was drawn for.
        fields: Prefix of the form's keys.
        name: Key of the person's name.
        comment: Key of the comment.
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
    state[_TOO_LATE] = {
        "addendum_diagnosis": state[f"{fields}diagnosis"].strip(),
        "addendum_text": "\n".join(f"{word}: {text}" for word, text in changed),
        "addendum_name": state[name].strip(),
    }


def _addenda(report: CaseReport, shared: Services) -> None:
    """The addenda, and the form for another one."""
    with st.container(key="addenda"):
        for added in report.addenda:
            st.markdown(inert(f"Addendum by {added.reviewer} on {minute(added.added)} UTC"))
            if added.diagnosis:
                st.text(f"Diagnosis: {added.diagnosis}")
            st.text(added.text)
    typed = st.session_state.pop(_TOO_LATE, {})
    defaults = {
        "addendum_diagnosis": "",
        "addendum_text": "",
        "addendum_name": person(),
        **_record_of(report),
    }
    _fill_in(report, defaults)
    st.session_state.update(typed)
    if login():
        st.session_state.update({"addendum_name": login(), "record_name": login()})
    with (
        st.expander(
            "Add an addendum",
            icon=":material/note_add:",
            expanded=bool(typed) or _failed("addendum"),
            key="addendum_fold",
        ),
        st.form("addendum", border=False),
    ):
        st.text_area(
            "Text of the addendum; the signed report stays as it is", key="addendum_text", height=120
        )
        diagnosis, name = st.columns(2)
        diagnosis.text_input("New diagnosis, if it changes", key="addendum_diagnosis")
        name.text_input("Your name", key="addendum_name", disabled=bool(login()))
        st.form_submit_button(
            "Add the addendum",
            key="add_addendum",
            icon=":material/note_add:",
            on_click=_append,
            args=(report, shared),
        )
        _problem("addendum")


def _append(report: CaseReport, shared: Services) -> None:
    state = st.session_state
    try:
        shared.library.add_addendum(
            report.case_id,
            signer(state["addendum_name"]),
            state["addendum_text"],
            state["addendum_diagnosis"],
        )
    except VideoPathError as error:
        state[_PROBLEM] = ("addendum", str(error))


def _record_of(report: CaseReport) -> dict[str, Any]:
    """The defaults of the record's form, without sentences in which the model says that it does not know."""
    from videopath.agent.decision.not_known import not_known_in, without_not_known

    own = report.provenance.get("unknown_label")
    findings = [line for line in _lines(report).splitlines() if not not_known_in(line, own)]
    return {
        "record_description": without_not_known(report.description, own),
        "record_findings": "\n".join(findings),
        "record_confirm": False,
        "record_name": person(),
        "record_patient": "",
        "record_group": "",
    }


def _learning(report: CaseReport, shared: Services) -> None:
    """The form to learn from the case: a person confirms or writes what the record will say."""
    folder = _knowledge_folder(report, shared)
    added = st.session_state.pop(_ADDED, "")
    if added:
        st.success(inert(added), icon=":material/library_add_check:")
    with st.form("record", border=True):
        st.markdown("**Learn from this case**")
        st.text_input("Diagnosis", report.amended_diagnosis or report.diagnosis, disabled=True)
        st.text_area("Description", key="record_description", height=120)
        st.text_area("Findings, one on each line", key="record_findings", height=140)
        patient, group = st.columns(2)
        never = "The record is never used for other cases of this"
        patient.text_input("Patient", key="record_patient", placeholder="not given", help=f"{never} patient.")
        group.text_input(
            "Group", key="record_group", placeholder="not given", help=f"For example a study. {never} group."
        )
        st.text_input("Your name", key="record_name", disabled=bool(login()))
        st.checkbox("I have read description and findings and confirm them", key="record_confirm")
        st.form_submit_button(
            f"Add to the knowledge base “{inert(knowledge_name(folder))}”",
            key="add_to_knowledge",
            icon=":material/library_add:",
            on_click=_add,
            args=(report, folder, shared),
        )
        _problem("record")


def _add(report: CaseReport, folder: Path, shared: Services) -> None:
    from videopath.agent.cases.learning import add_to_knowledge

    state = st.session_state
    if not state["record_confirm"]:
        state[_PROBLEM] = (
            "record",
            "Nothing was added: read and correct description and findings, then confirm them.",
        )
        return
    description, findings = state["record_description"], state["record_findings"].splitlines()
    unchanged = description == report.description and state["record_findings"] == _lines(report)
    if not unchanged and not f"{description}{''.join(findings)}".strip():
        state[_PROBLEM] = ("record", "Nothing was added: write a description or a finding.")
        return
    patient, group = (state[key].strip() or None for key in ("record_patient", "record_group"))
    words: dict[str, Any] = (
        {"confirmed": True} if unchanged else {"description": description, "findings": findings}
    )
    try:
        visitor_path(folder, shared.settings)
        record = add_to_knowledge(
            report, folder, patient=patient, group=group, reviewer=signer(state["record_name"]), **words
        )
    except VideoPathError as error:
        state[_PROBLEM] = ("record", str(error))
        return
    state[_ADDED] = f"Added as {record} to {knowledge_name(folder)}."


def _lines(report: CaseReport) -> str:
    return "\n".join(finding.text for finding in report.findings)


def _knowledge_folder(report: CaseReport, shared: Services) -> Path:
    """The knowledge base of the case; the starter cannot be changed, so its cases go to a base of their own."""
    from videopath.knowledge.bundled import STARTER_FOLDER

    own = report.settings.knowledge or shared.settings.knowledge
    if own and Path(own).expanduser().resolve() != STARTER_FOLDER.resolve():
        return Path(own)
    return shared.home / "knowledge" / "signed-cases"
