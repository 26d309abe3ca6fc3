"""What a person typed into a form that was refused: it is drawn again below the reason, to be copied or used."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from videopath.app.web.parts.inert import inert

_KEPT = "words_of_a_refused_form"  # in the session: case, and label → text


def keep_words(case_id: str, words: Mapping[str, str]) -> None:
    """Keep what was typed for a case until its writer puts it away."""
    typed = {label: text for label, text in words.items() if text.strip()}
    if typed:
        st.session_state[_KEPT] = (case_id, typed)


def kept_words(case_id: str) -> None:
    """The words that were kept for this case, where there are some."""
    kept_for, words = st.session_state.get(_KEPT, ("", {}))
    if kept_for != case_id:
        return
    with st.container(border=True, key="kept_words"):
        st.markdown("**What you wrote, which was not taken**")
        for label, text in words.items():
            key = f"kept_{label.lower()}"
            st.session_state[key] = text
            st.text_area(inert(label), key=key, height="content")
        st.button("Put it away", key="put_away", icon=":material/close:", on_click=_put_away)


def _put_away() -> None:
    st.session_state.pop(_KEPT, None)
