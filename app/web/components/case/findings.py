"""Findings as buttons: a click moves the video to the moment and shows its frame, with zoom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from videopath.agent.cases.records import Finding
from videopath.agent.report.phrases import basis_in_words
from videopath.agent.report.values import moment
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import services
from videopath.core.errors import InputError
from videopath.media.crop import Crop
from videopath.media.image.source import IMAGE_SUFFIXES

_ZOOMS = (1, 2, 4, 8)
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
        _player(Path(view.entry.video), seconds, clicks=st.session_state.get(_key(view, "clicks"), 0))
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


def _player(video: Path, seconds: float, clicks: int) -> None:
    from videopath.app.web.runtime.playable import playable

    with st.container(key="player"):
        if not video.exists():
            st.error(
                inert(f"The video is no longer at {video}. Put it back to see it here."),
                icon=":material/error:",
            )
            return
        try:
            with st.spinner("Preparing the video for the browser…", show_time=True):
                file = playable(video, services().home / "cache")
        except InputError as error:
            st.error(inert(f"The video cannot be shown: {error}"), icon=":material/error:")
            return
        st.video(file, start_time=int(seconds), alt=f"The video of the case, at {moment(seconds)}")
        if clicks:  # Streamlit only jumps to whole seconds, and not twice to the same
            st.html(_SEEK % (seconds, clicks), unsafe_allow_javascript=True)


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
        crop = crop_of(zoom or 1, across / 100, down / 100)
        try:
            picture = _picture(view.entry.video, _changed(view.entry.video), seconds, crop)
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


@st.cache_data(max_entries=32, show_spinner=False)
def _picture(video: str, changed: float, seconds: float, crop: Crop | None) -> np.ndarray:
    """uint8 [H,W,3]; ``changed`` is the file's time of change, so that a new file is read again."""
    from videopath.app.web.runtime.playable import frame_at

    return frame_at(Path(video), seconds, crop)


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
    path = Path(video)
    return path.stat().st_mtime if path.exists() else 0.0
