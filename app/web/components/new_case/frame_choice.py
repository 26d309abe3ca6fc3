"""One frame of the video with its filled places and the crop; a new crop is drawn with the mouse or a finger."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from videopath.core.choices import WritingRule
from videopath.media.crop import Crop

if TYPE_CHECKING:
    from videopath.media.writing.records import Writing

_SIDE = 360  # pixels of the picture's longer side on the page: what a narrow screen has
_LEAST = 0.05  # of a side: a smaller drawing is a click
_DRAWN = "drawn_crop"  # in the session: the drawn crop, as shares; it counts until another one is drawn or it is removed
_VIDEO = "cropped_video"  # in the session: the video that the crop was drawn for


def frame_choice(
    video: Path, identity: tuple[int, int], second: float, writing: WritingRule, writings: Sequence[Writing]
) -> None:
    """Draw the frame, its filled places and the crop, and take a newly drawn crop over.

    Args:
        video: The file or folder.
        identity: Size and time of change of the file, so that a replaced file is read again.
        second: The moment of the frame.
        writing: Which writing is filled.
        writings: The writing that was found, with boxes as shares of the whole frame.
    """
    picture = _picture(str(video), identity, second, writing)
    st.altair_chart(
        _chart(picture, writings, st.session_state.get(_DRAWN)),
        key="frame_crop",
        on_select=_take_over,
        selection_mode="crop",
        width="content",
        alt="A frame of the video with its writing filled, and the part that is looked at",
    )
    drawn = st.session_state.get(_DRAWN)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            _in_words(drawn)
            if drawn
            else "Draw a rectangle in the picture if only a part of it shows tissue."
        )
        if drawn:
            st.button(
                "Use the whole frame",
                key="no_crop",
                type="tertiary",
                icon=":material/crop_free:",
                on_click=_forget,
            )


def drawn_crop() -> Crop | None:
    """Return the crop that was drawn for this video, as shares; None for the whole frame."""
    return st.session_state.get(_DRAWN)


def forget_crop_of_other(video: Path | None) -> None:
    """Remove a crop that was drawn for another video."""
    if st.session_state.get(_VIDEO) != video:
        st.session_state[_VIDEO] = video
        _forget()


def crop_of_selection(selection: dict[str, Any]) -> Crop | None:
    """Return the crop of a selection as the chart sends it, ``{"x": [0.1, 0.7], "y": [0.2, 0.9]}``; None if it is none."""
    across, down = selection.get("x"), selection.get("y")
    if not (isinstance(across, list) and isinstance(down, list) and len(across) == len(down) == 2):
        return None
    left, right = sorted(min(1.0, max(0.0, float(share))) for share in across)
    top, bottom = sorted(min(1.0, max(0.0, float(share))) for share in down)
    if right - left < _LEAST or bottom - top < _LEAST:
        return None
    return round(left, 3), round(top, 3), round(right, 3), round(bottom, 3)


def _take_over() -> None:
    selection = st.session_state["frame_crop"]["selection"].get("crop") or {}
    crop = crop_of_selection(selection)
    if crop is not None:
        st.session_state[_DRAWN] = crop


def _forget() -> None:
    st.session_state.pop(_DRAWN, None)


def _in_words(crop: Crop) -> str:
    left, top, right, bottom = (round(100 * share) for share in crop)
    return (
        f"The model sees {left}% to {right}% across and {top}% to {bottom}% down, inside the green rectangle."
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _picture(video: str, identity: tuple[int, int], second: float, writing: WritingRule) -> str:
    """The whole frame with its writing filled, as a data URL of a JPEG, and its width by its height after ``#``."""
    import cv2

    from videopath.app.web.runtime.playable import frame_at

    frame: np.ndarray = frame_at(Path(video), second, writing=writing)
    scale = min(1.0, _SIDE / max(frame.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(coded.tobytes()).decode()}#{width}x{height}"


def _chart(picture: str, writings: Sequence[Writing], crop: Crop | None) -> Any:
    import altair as alt

    url, _, size = picture.partition("#")
    width, height = map(int, size.split("x"))
    across = alt.X("x:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)
    down = alt.Y("y:Q", scale=alt.Scale(domain=[1, 0], nice=False), axis=None)
    image = (
        alt.Chart(alt.Data(values=[{"x": 0.5, "y": 0.5, "url": url}]))
        .mark_image(width=width, height=height, aspect=False)
        .encode(x=across, y=down, url="url:N")
        .add_params(alt.selection_interval(name="crop", encodings=["x", "y"]))
    )
    layers = [image]
    if writings:
        boxes = alt.Chart(alt.Data(values=[_rectangle(one.box) | {"why": _why(one)} for one in writings]))
        look = boxes.mark_rect(fill="#f0a500", fillOpacity=0.15, stroke="#f0a500", strokeWidth=2)
        layers.append(look.encode(x=across, y=down, x2="x2:Q", y2="y2:Q", tooltip="why:N"))
    if crop is not None:
        kept = alt.Chart(alt.Data(values=[_rectangle(crop)]))
        look = kept.mark_rect(fillOpacity=0, stroke="#1F939B", strokeWidth=3)
        layers.append(look.encode(x=across, y=down, x2="x2:Q", y2="y2:Q"))
    return alt.layer(*layers).properties(width=width, height=height)


def _rectangle(box: Crop) -> dict[str, Any]:
    left, top, right, bottom = box
    return {"x": left, "y": top, "x2": right, "y2": bottom}


def _why(writing: Writing) -> str:
    return f"{'filled' if writing.filled else 'not filled'}: {writing.reason}"
