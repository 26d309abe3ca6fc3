"""The page Data sets: finish the drafts of a set that was built without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.datasets.clip_view import clip_view
from videopath.app.web.components.datasets.draft_form import draft_form
from videopath.app.web.components.datasets.set_choice import choose_recording, choose_set
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.services import services
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.dataset.instructions.drafts import Draft
    from videopath.dataset.instructions.words import ClipWords
    from videopath.dataset.records import Recording
    from videopath.dataset.set_folder import SetFolder

_NUMBER = "draft_clip"  # in the session: which clip of the recording is shown, from 0


def show() -> None:
    """Ask for a set, and show its drafts clip by clip."""
    st.title("Data sets")
    folder = choose_set(services())
    if folder is None:
        return
    try:
        _show_set(folder)
    except InputError as error:
        st.error("This set cannot be shown.", icon=":material/error:")
        st.text(str(error))


def _show_set(folder: SetFolder) -> None:
    from videopath.dataset.instructions.drafts import list_drafts

    recordings = folder.recordings()
    drafts = {one.id: list_drafts(folder, one) for one in recordings}
    recording = choose_recording(drafts, recordings)
    if recording is None:
        return
    clips = _by_clip(drafts[recording.id])
    number = _choose_clip(recording, len(clips))
    own = list(clips.values())[number]
    st.caption(inert(f"Case {own[0].clip.case} · {own[0].clip.id}"))
    clip_view(folder, own[0].clip, _words(folder, recording, own[0]))
    draft_form(folder, own)


def _by_clip(drafts: list[Draft]) -> dict[str, list[Draft]]:
    clips: dict[str, list[Draft]] = {}
    for draft in drafts:
        clips.setdefault(draft.clip.id, []).append(draft)
    return clips


def _choose_clip(recording: Recording, count: int) -> int:
    """Draw the buttons to the clips before and after; return the number of the clip from 0."""
    key = f"{_NUMBER}_{recording.id}"
    number = min(st.session_state.get(key, 0), count - 1)
    with st.container(horizontal=True, vertical_alignment="center", key="clip_choice"):
        st.button(
            "Previous",
            key="previous_clip",
            icon=":material/chevron_left:",
            disabled=number == 0,
            on_click=_go_to,
            args=(key, number - 1),
        )
        st.text(f"Clip {number + 1} of {count} with drafts", width="content")
        st.button(
            "Next",
            key="next_clip",
            icon=":material/chevron_right:",
            disabled=number + 1 >= count,
            on_click=_go_to,
            args=(key, number + 1),
        )
    return number


def _go_to(key: str, number: int) -> None:
    st.session_state[key] = number


def _words(folder: SetFolder, recording: Recording, draft: Draft) -> ClipWords:
    from videopath.dataset.instructions.words import ClipWords, words_of_clip
    from videopath.dataset.records import Segments, Transcript
    from videopath.dataset.segments.cuts_table import read_cuts

    transcript = folder.result(recording, "transcript", Transcript)
    segments = folder.result(recording, "segments", Segments)
    if transcript is None or segments is None:
        return ClipWords(title=draft.clip.title)
    if folder.cuts.exists():
        segments = read_cuts(folder.cuts, recording, segments)
    return words_of_clip(draft.clip, transcript, segments)
