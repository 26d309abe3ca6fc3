"""Editing a record of a knowledge base, by a person with a name; and the history of its edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.app.web.runtime.people import NAME, login, person, signer
from videopath.core.errors import VideoPathError
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord, KnowledgeBase

_RECORD_TO_EDIT = "record_to_edit"  # in the session: the record as the person saw it


def ask_to_edit(record: InstructionRecord) -> None:
    """Open the dialog when the page is drawn next (a button's ``on_click``)."""
    st.session_state[_RECORD_TO_EDIT] = record


def edit_dialog(base: KnowledgeBase) -> None:
    """Show the dialog if it was requested."""
    record = st.session_state.get(_RECORD_TO_EDIT)
    if record is not None:
        st.dialog("Edit this record", width="large", on_dismiss=_forget)(_dialog)(base, record)


def history_of(base: KnowledgeBase, record: InstructionRecord) -> None:
    """Draw who changed what, the newest edit first; nothing if the record was never edited."""
    edits = base.history(record.id)
    if not edits:
        return
    with st.expander(f"History: {len(edits)} edit{'s' if len(edits) > 1 else ''}", type="compact"):
        for edit in reversed(edits):
            st.caption(
                inert(
                    f"{edit.when[:16].replace('T', ' ')} UTC · {edit.by}"
                    + (f" · {edit.note}" if edit.note else "")
                )
            )
            table(
                ("field", "before", "after"),
                [(name, old or "–", new or "–") for name, old, new in edit.changes],
            )


def _dialog(base: KnowledgeBase, record: InstructionRecord) -> None:
    st.text(record.id)
    st.caption(
        "Later cases find the new texts. The old ones stay in the history; reports that rest on them do not change."
    )
    with st.form("edit_record", border=False):
        first = st.columns([2, 1])
        sites = list(dict.fromkeys([*SITES, *([record.site] if record.site else [])]))
        changes = {
            "diagnosis": first[0].text_input("Diagnosis", record.diagnosis, key="edit_diagnosis"),
            "site": first[1].selectbox(
                "Site",
                sites,
                index=sites.index(record.site) if record.site else None,
                placeholder="not given",
                key="edit_site",
            ),
            "description": st.text_area(
                "Description", record.description, key="edit_description", height=120
            ),
        }
        second = st.columns(2)
        changes["source"] = second[0].text_input("Source", record.source, key="edit_source")
        changes["licence"] = second[1].text_input("Licence", record.licence, key="edit_licence")
        changes["question"] = st.text_input("Question", record.question, key="edit_question")
        third = st.columns(2)
        name = third[0].text_input("Your name", person(), key="edit_by", disabled=bool(login()))
        note = third[1].text_input("Reason (optional)", key="edit_note")
        saved = st.form_submit_button("Save", key="confirm_edit", type="primary", icon=":material/save:")
    if saved:
        _save(base, record, changes, name, note)
    if st.button("Cancel", key="cancel_edit"):
        _forget()
        st.rerun()


def _save(
    base: KnowledgeBase, record: InstructionRecord, changes: dict[str, str | None], name: str, note: str
) -> None:
    try:
        with st.spinner("Saving"):
            after = base.edit(record, changes, by=signer(name), note=note)
    except VideoPathError as error:
        st.error("The record was not changed.", icon=":material/error:")
        st.text(str(error))
        return
    st.session_state[NAME] = name.strip()
    _forget()
    st.toast(
        "Nothing was different."
        if after == record
        else "The record is changed; its history has the texts before.",
        icon=":material/edit:",
    )
    st.rerun()


def _forget() -> None:
    st.session_state.pop(_RECORD_TO_EDIT, None)
    for key in [key for key in st.session_state if str(key).startswith("edit_")]:
        del st.session_state[key]
