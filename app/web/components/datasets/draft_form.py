"""The form in which a person finishes the drafts of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.shared.inert import inert
from videopath.core.errors import InputError
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    from videopath.dataset.instructions.drafts import Draft, Finished
    from videopath.dataset.set_folder import SetFolder

_SAVED = "drafts_saved"  # in the session: the sentence that the next run shows
_ALONE = "The picture alone shows this, without the words"
_MAX = 4000  # characters of a text on the page


def draft_form(folder: SetFolder, drafts: Sequence[Draft]) -> None:
    """Ask for the texts of a clip, and save all that are filled in, or discard the drafts."""
    _confirm_last()
    by_about = {draft.pair.about: draft for draft in drafts}
    clip = drafts[0].clip.id
    with st.form(f"draft_{clip}"):
        made: list[Finished | None] = []
        if "description" in by_about:
            made.append(_description(by_about["description"]))
        if "diagnosis" in by_about:
            made.append(_diagnosis(by_about["diagnosis"]))
        who = st.text_input(
            "Your name or initials",
            key="draft_who",
            max_chars=80,
            help="It is kept beside the set (finished.jsonl) and never becomes part of it.",
        )
        with st.container(horizontal=True):
            save = st.form_submit_button("Save", key="save_draft", type="primary", icon=":material/save:")
            drop = st.form_submit_button(
                "Discard",
                key="discard_draft",
                icon=":material/delete:",
                help="These drafts are not offered any more, and nothing of them becomes part of the set.",
            )
    if save:
        _save(folder, [one for one in made if one is not None], who)
    if drop:
        _discard(folder, [draft.pair.id for draft in drafts], who)


def _description(draft: Draft) -> Finished | None:
    from videopath.dataset.instructions.drafts import Finished

    pair = draft.pair
    st.header("Description", anchor=False)
    question = _question(draft)
    answer = st.text_area(
        "What the clip shows, without a diagnosis",
        value=pair.answer,
        key=f"answer_{pair.id}",
        height=140,
        max_chars=_MAX,
        placeholder="Crowded, angulated glands with dark nuclei in a fibrous stroma.",
    )
    alone = st.checkbox(_ALONE, key=f"alone_{pair.id}")
    return Finished(pair.id, answer, question=question, blind=alone) if answer.strip() else None


def _diagnosis(draft: Draft) -> Finished | None:
    from videopath.dataset.instructions.drafts import Finished
    from videopath.dataset.instructions.given_away import named_diagnosis
    from videopath.knowledge.records.sources import infer_site

    pair = draft.pair
    st.header("Diagnosis", anchor=False)
    question = _question(draft)
    if pair.answer:
        st.caption("Found in the words:")
        st.text(pair.answer)
    left, right = st.columns([2, 1])
    label = left.text_input(
        "Diagnosis",
        value=named_diagnosis(pair.answer),
        key=f"answer_{pair.id}",
        max_chars=200,
        placeholder="colon adenocarcinoma",
    )
    named = infer_site(pair.question)
    site = right.selectbox(
        "Site",
        list(SITES),
        index=list(SITES).index(named) if named else None,
        placeholder="not given",
        key=f"site_{pair.id}",
    )
    reasoning = st.text_area(
        "Steps to the diagnosis",
        key=f"reasoning_{pair.id}",
        height=120,
        max_chars=_MAX,
        placeholder="What is seen and where, what it means, what speaks for and against other diagnoses.",
    )
    alone = st.checkbox(_ALONE, key=f"alone_{pair.id}")
    if not label.strip():
        return None
    return Finished(pair.id, label, question=question, reasoning=reasoning, site=site or "", blind=alone)


def _question(draft: Draft) -> str:
    return st.text_input(
        "Question", value=draft.pair.question, key=f"question_{draft.pair.id}", max_chars=500
    )


def _save(folder: SetFolder, made: Sequence[Finished], who: str) -> None:
    from videopath.dataset.instructions.drafts import finish

    if not made:
        st.error("Nothing is filled in: write a description or a diagnosis.", icon=":material/error:")
        return
    try:
        pairs = finish(folder, made, who)
    except InputError as error:
        st.error(inert(f"Nothing was saved. {error}"), icon=":material/error:")
        return
    st.session_state[_SAVED] = f"Saved: {' and '.join(pair.about for pair in pairs)}."
    st.rerun()


def _discard(folder: SetFolder, names: Sequence[str], who: str) -> None:
    from videopath.dataset.instructions.drafts import discard

    try:
        discard(folder, names, who)
    except InputError as error:
        st.error(inert(f"Nothing was discarded. {error}"), icon=":material/error:")
        return
    st.session_state[_SAVED] = "Discarded."
    st.rerun()


def _confirm_last() -> None:
    """Say once what the last press of a button did."""
    saved = st.session_state.pop(_SAVED, None)
    if saved:
        st.success(saved, icon=":material/check_circle:")
