"""Findings as buttons: a click moves the video to the moment and shows its frame, with zoom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from videopath.agent.cases.records import Finding
from videopath.agent.report.phrases import basis_in_words
from videopath.agent.report.values import moment
from videopath.app.web.components.shared.frames import show_frames
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.masked_copies import masked_copies
from videopath.app.web.runtime.services import services
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path
from videopath.media.clip import cropped
from videopath.media.crop import WHOLE, Crop, within
from videopath.media.image.source import IMAGE_SUFFIXES

_ZOOMS = (1, 2, 4, 8)
_INTERVAL = 1.0  # seconds between two checks of a copy
_ONLY_FRAMES = (
    "The video is not played: writing was filled in the frames of this case, and was not found again in the whole video. "
    "These are the frames, with writing filled."
)
_SEEK = """
<script>
(() => {
  const video = document.querySelector(".st-key-player video");
  if (!video) return;
  const go = () => { video.pause(); video.currentTime = %.3f; };  // click %d
  setTimeout(() => video.readyState ? go() : video.addEventListener("loadedmetadata", go, {once: true}), 120);
})();
</script>
"""


def findings(view: CaseView) -> None:
    """Draw the findings, the player and the frame."""
    all_findings = view.evidence.findings
    still = _is_still(view)
    selected_number = _selected_number(view)
    st.subheader("Findings", anchor=False)
    with st.container(key="findings", gap="xsmall"):
        if not all_findings:
            st.text("No finding yet." if view.active else "The description contains no finding.")
        for number, finding in enumerate(all_findings, 1):
            _button(view, number, finding, still, selected=selected_number == number)
    seconds = all_findings[selected_number - 1].seconds if selected_number else _first_moment(view)
    if not still:
        _player(view, seconds, clicks=st.session_state.get(_key(view, "clicks"), 0))
    _frame(view, seconds, all_findings[selected_number - 1] if selected_number else None, still)


def _button(view: CaseView, number: int, finding: Finding, still: bool, *, selected: bool) -> None:
    if not finding.has_moment:
        st.caption(f"{inert(finding.text)} – {inert(basis_in_words(finding))}")
        return
    when = "still image" if still else moment(finding.seconds)
    st.button(
        f"**{when}** {inert(finding.text)} – {inert(basis_in_words(finding))}"
        + (" (shown)" if selected else ""),
        key=f"finding_{number}",
        icon=":material/visibility:" if selected else ":material/play_circle:",
        width="stretch",
        on_click=_choose,
        args=(view, number),
    )


def _choose(view: CaseView, number: int) -> None:
    st.session_state[_key(view, "finding")] = number
    st.session_state[_key(view, "clicks")] = st.session_state.get(_key(view, "clicks"), 0) + 1


def _player(view: CaseView, seconds: float, clicks: int) -> None:
    """Show the video with its writing filled; while that copy is made, show the frames that the model saw."""
    video = find_path(view.entry.video)
    with st.container(key="player"):
        if not video.exists():
            st.error(
                inert(f"The video is no longer at {view.entry.video}. Put it back to see it here."),
                icon=":material/error:",
            )
            return
        with st.spinner("Preparing the video for the browser…", show_time=True):
            copy = masked_copies().state(
                video, services().home / "cache", view.writing, start=not view.active
            )
        if copy.error:
            st.error(inert(f"The video cannot be shown: {copy.error}"), icon=":material/error:")
            return
        if copy.file is None:
            _wait(view, video)
            return
        if not copy.masked and _filled(view):
            st.info(_ONLY_FRAMES, icon=":material/text_fields:")
            _frames(view)
            return
        st.video(copy.file, start_time=int(seconds), alt=f"The video of the case, at {moment(seconds)}")
        if clicks:  # Streamlit only jumps to whole seconds, and not twice to the same
            st.html(_SEEK % (seconds, clicks), unsafe_allow_javascript=True)


def _wait(view: CaseView, video: Path) -> None:
    """Show the frames and the progress of the copy; draw the page again when it is ready."""
    if view.active:
        st.caption(
            "The video can be played when the case has ended. These are its frames, with writing filled."
        )
    else:
        st.fragment(_progress, run_every=_INTERVAL)(video, view.writing)
    _frames(view)


def _progress(video: Path, writing: WritingRule) -> None:
    copy = masked_copies().state(video, services().home / "cache", writing)
    if copy.file is not None or copy.error:
        st.rerun()
    st.progress(copy.share, text="Writing in the video is searched and filled before it can be played")


def _frames(view: CaseView) -> None:
    if view.request is not None:
        show_frames(view.request)


def _filled(view: CaseView) -> bool:
    """Whether writing was filled in the frames of the case."""
    intake = next((step.detail.get("burned_in_text") for step in view.steps if step.name == "intake"), None)
    places = intake.get("writings", []) if isinstance(intake, dict) else []
    return any(place.get("filled") for place in places)


def _frame(view: CaseView, seconds: float, finding: Finding | None, still: bool) -> None:
    """The frame, or a part of it, in native resolution."""
    with st.container(key="zoom"):
        zoom = st.segmented_control(
            "Zoom of the frame",
            _ZOOMS,
            default=1,
            format_func=lambda times: f"{times}×",
            key="zoom_level",
            required=True,
        )
        left, right = st.columns(2)
        across = left.slider("Left to right, %", 0, 100, 50, key="zoom_x", disabled=zoom == 1)
        down = right.slider("Top to bottom, %", 0, 100, 50, key="zoom_y", disabled=zoom == 1)
        crop = within(view.crop or WHOLE, crop_of(zoom or 1, across / 100, down / 100) or WHOLE)
        try:
            whole = _picture(view.entry.video, _changed(view.entry.video), seconds, view.writing)
            picture = cropped(whole[None], crop)[0]
        except InputError as error:
            st.error(inert(f"The frame cannot be shown: {error}"), icon=":material/error:")
            return
        where = "Still image" if still else f"Frame at {moment(seconds)}"
        height, width = picture.shape[:2]
        caption = f"{where}, {zoom or 1}×: {width} × {height} pixels of the source"
        finding_text = f"; {finding.text}" if finding else ""
        st.image(picture, width="stretch", caption=caption, alt=caption + finding_text)


def crop_of(zoom: int, across: float, down: float) -> Crop | None:
    """Left, top, right, bottom in [0, 1] of a window ``1 / zoom`` wide whose place is ``across``, ``down`` in [0, 1]."""
    if zoom == 1:
        return None
    side = 1 / zoom
    left, top = across * (1 - side), down * (1 - side)
    return left, top, left + side, top + side


@st.cache_data(max_entries=8, show_spinner="Reading the frame…")
def _picture(video: str, changed: float, seconds: float, writing: WritingRule) -> np.ndarray:
    """The whole frame, uint8 [H,W,3]; ``changed`` is the file's time of change, so that a new file is read again."""
    from videopath.app.web.runtime.playable import frame_at

    return frame_at(Path(video), seconds, writing=writing)


def _selected_number(view: CaseView) -> int:
    """The number of the selected finding, from 1; 0 if none is selected."""
    number = st.session_state.get(_key(view, "finding"), 0)
    return number if number <= len(view.evidence.findings) else 0


def _first_moment(view: CaseView) -> float:
    facts = _facts(view)
    return facts["seconds"][0] if facts and facts["seconds"] else 0.0


def _is_still(view: CaseView) -> bool:
    """Whether the case is a single image, without moments and without a player."""
    facts = _facts(view)
    return facts["kind"] == "image" if facts else Path(view.entry.video).suffix.lower() in IMAGE_SUFFIXES


def _facts(view: CaseView) -> dict[str, Any] | None:
    """The facts about the video from the intake; None before it has finished."""
    return next((step.detail.get("facts") for step in view.steps if step.name == "intake"), None)


def _key(view: CaseView, name: str) -> str:
    return f"{name}:{view.case_id}"


def _changed(video: str) -> float:
    path = find_path(video)
    return path.stat().st_mtime if path.exists() else 0.0
