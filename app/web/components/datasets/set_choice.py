"""The choice of a set, and of a recording in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.app.web.runtime.services import Services
from videopath.core.errors import InputError
from videopath.core.folders import visitor_path

if TYPE_CHECKING:
    from videopath.dataset.instructions.drafts import Draft
    from videopath.dataset.records import Recording
    from videopath.dataset.set_folder import SetFolder

_FOLDER = "chosen_set"  # in the session: what was typed last, kept while other pages are shown


def choose_set(shared: Services) -> SetFolder | None:
    """Ask for the folder of a set; return None, with the reason on the page, as long as there is none."""
    from videopath.dataset.set_folder import SetFolder

    typed = st.text_input(
        "Folder of the set",
        value=st.session_state.get(_FOLDER) or st.query_params.get("set", ""),
        key="set_folder",
        placeholder="/data/my-set",
        help="The folder that you gave to videopath dataset build as --out.",
    ).strip()
    st.session_state[_FOLDER] = typed
    if not typed:
        st.info(
            "Give the folder of a set whose drafts you want to finish. A build without a model makes drafts:",
            icon=":material/edit_note:",
        )
        st.code("videopath dataset build RECORDINGS --out SET", language="bash")
        return None
    try:
        folder = visitor_path(typed, shared.settings)
    except InputError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return None
    if not (folder / "recordings").is_dir():
        st.error(inert(f"{folder} is not a set: it has no folder recordings."), icon=":material/error:")
        return None
    return SetFolder(folder)


def choose_recording(drafts: dict[str, list[Draft]], recordings: list[Recording]) -> Recording | None:
    """Show how many drafts are left in each recording, and ask for one of them.

    Args:
        drafts: Id of a recording → its drafts.
        recordings: All recordings of the set.

    Returns:
        The recording; None if no draft is left in the whole set.
    """
    with st.expander("All recordings", expanded=False):
        table(
            ("recording", "length", "drafts left"),
            ((one.path, f"{one.seconds:.0f} s", str(len(drafts[one.id]))) for one in recordings),
        )
    waiting = [one for one in recordings if drafts[one.id]]
    if not waiting:
        st.success("No draft is left in this set.", icon=":material/check_circle:")
        st.caption("Write the set anew with your texts in it:")
        st.code("videopath dataset build RECORDINGS --out SET --only set", language="bash")
        return None
    by_id = {one.id: one for one in waiting}
    chosen = st.selectbox(
        "Recording",
        list(by_id),
        format_func=lambda name: _label(by_id[name], len(drafts[name])) if name in by_id else name,
        key="recording",
    )
    return by_id.get(chosen)


def _label(recording: Recording, left: int) -> str:
    return f"{recording.path}: {left} draft{'' if left == 1 else 's'} left"
