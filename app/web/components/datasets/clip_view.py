"""A refined clip with the words that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.shared.inert import inert

if TYPE_CHECKING:
    from videopath.dataset.instructions.words import ClipWords
    from videopath.dataset.records import Cue, RefinedClip
    from videopath.dataset.set_folder import SetFolder

_HEIGHT = 380  # pixels of the box of words


def clip_view(folder: SetFolder, clip: RefinedClip, words: ClipWords) -> None:
    """Show the clip beside its title card and what is said about its case."""
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(key="refined_clip"):
        _player(folder, clip)
    with right, st.container(height=_HEIGHT, key="clip_words"):
        _words(clip, words)


def _player(folder: SetFolder, clip: RefinedClip) -> None:
    file = folder.path / clip.file
    if not file.resolve().is_relative_to(folder.path.resolve()) or not file.is_file():
        st.error("The clip is not in the set's folder. Run the stage clips again.", icon=":material/error:")
        return
    st.video(file, loop=True, muted=True, alt=f"The refined clip {clip.id}")
    st.caption(
        inert(
            f"{clip.product}, {clip.start:.1f} to {clip.end:.1f} s of the recording; "
            f"{clip.width}×{clip.height} pixels, {clip.fps:g} frames per second, without sound."
        )
    )


def _words(clip: RefinedClip, words: ClipWords) -> None:
    for card in words.cards:
        st.caption("Card")
        st.text(card)
    for card in words.ambiguous:
        st.caption("Card that may be about another case")
        st.text(card)
    if not words.sentences:
        st.caption("Nothing is said in these seconds.")
    _said("Said, with the second of the clip", clip, words.sentences)
    _said("Said, but perhaps about another case", clip, words.unclear)


def _said(heading: str, clip: RefinedClip, sentences: Sequence[Cue]) -> None:
    if sentences:
        st.caption(heading)
    for sentence in sentences:
        middle = (sentence.start + sentence.end) / 2
        when = "before" if middle < 0 else "after" if middle > clip.end - clip.start else ""
        st.text(f"{sentence.start:.1f} s  {sentence.text}{f'  ({when} the clip)' if when else ''}")
