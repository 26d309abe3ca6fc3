"""The form to add a record to a knowledge base."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from pydantic import ValidationError

from videopath.app.web.runtime.services import Services
from videopath.core.errors import VideoPathError
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord, KnowledgeBase

_FIELDS = ("diagnosis", "site", "description", "source", "licence", "question")
_ADDED = "record_added"
_NAME = re.compile(r"[\w][\w .-]{0,59}")


def record_form(shared: Services, base: KnowledgeBase, *, fixed: bool) -> None:
    """Ask for a record and add it; if the chosen base is ``fixed``, add it to a new one."""
    _confirm_last()
    if fixed:
        st.info(
            "The starter is part of VideoPath and cannot be changed. Your record starts a new knowledge base.",
            icon=":material/lock:",
        )
    with st.form("add_record", border=False):
        name = st.text_input("Name of the new knowledge base", key="new_base", max_chars=60) if fixed else ""
        values = _fields()
        if st.form_submit_button("Add", key="add", type="primary", icon=":material/add:"):
            _add(shared, None if fixed else base, name, values)


def _fields() -> dict[str, str | None]:
    first = st.columns([2, 1])
    diagnosis = first[0].text_input("Diagnosis", key="add_diagnosis", placeholder="colon adenocarcinoma")
    site = first[1].selectbox("Site", list(SITES), index=None, placeholder="not fields", key="add_site")
    description = st.text_area(
        "Description",
        key="add_description",
        height=120,
        placeholder="What the pictures show; searches compare this text.",
    )
    second = st.columns(2)
    source = second[0].text_input(
        "Source",
        key="add_source",
        placeholder="the video or slide",
        help="The record is never used for cases of this source.",
    )
    licence = second[1].text_input("Licence", key="add_licence", placeholder="own case")
    question = st.text_input("Question", key="add_question", placeholder="the best diagnosis")
    return dict(zip(_FIELDS, (diagnosis, site, description, source, licence, question), strict=True))


def _add(shared: Services, base: KnowledgeBase | None, name: str, values: dict[str, str | None]) -> None:
    from videopath.knowledge import KnowledgeBase

    try:
        record = _record(values)
    except ValidationError as error:
        _show_problems(error)
        return
    try:
        folder = _new_folder(shared.home, name) if base is None else None
        with st.spinner("Adding"):
            if base is not None:
                base.add([record])
            elif folder is not None:
                KnowledgeBase.build(folder, [record])
            else:
                return
    except VideoPathError as error:
        st.error("The record was not added.", icon=":material/error:")
        st.text(str(error))
        return
    st.session_state[_ADDED] = folder.name if folder else record.id
    st.rerun()


def _record(values: dict[str, str | None]) -> InstructionRecord:
    from videopath.knowledge import InstructionRecord
    from videopath.knowledge.records.record import UNSPECIFIED_LICENCE
    from videopath.model.prompts.questions import default_question

    fields = {name: (value or "").strip() for name, value in values.items()}
    return InstructionRecord(
        id=f"own-{secrets.token_hex(4)}",
        source=fields["source"],
        site=fields["site"] or None,
        question=fields["question"] or default_question(fields["site"] or None),
        description=fields["description"],
        diagnosis=fields["diagnosis"],
        licence=fields["licence"] or UNSPECIFIED_LICENCE,
    )


def _show_problems(error: ValidationError) -> None:
    for problem in error.errors():
        words = problem["msg"].removeprefix("Value error, ")
        field = " ".join(str(part) for part in problem["loc"]) or "the record"
        st.error(f"{field.capitalize()} {words}.", icon=":material/error:")


def _new_folder(home: Path, name: str) -> Path | None:
    """The folder of a new knowledge base; None, with the reason on the page, if the name cannot be used."""
    folder = home / "knowledge" / name.strip()
    if not _NAME.fullmatch(name.strip()):
        st.error(
            "The name must start with a letter or digit; it may also contain spaces, dots and dashes.",
            icon=":material/error:",
        )
    elif folder.exists():
        st.error(
            "A knowledge base with this name exists: choose it above, or use another name.",
            icon=":material/error:",
        )
    else:
        return folder
    return None


def _confirm_last() -> None:
    """Confirm the last addition, and empty the form."""
    added = st.session_state.pop(_ADDED, None)
    if added is not None:
        for field in _FIELDS:
            st.session_state.pop(f"add_{field}", None)
        st.success("Added:", icon=":material/check_circle:")
        st.text(added)
