"""One frame of the video with its filled places and the crop; both are drawn with the mouse or a finger."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from videopath.core.choices import WritingRule
from videopath.media.crop import Crop
from videopath.media.masks import MAX_MASKS, Masks

if TYPE_CHECKING:
    from videopath.media.writing.records import Writing

SIDE = 360
"""Pixels of the picture's longer side on the page: what a narrow screen has."""

_BELOW = 20  # pixels that the page keeps free below a chart
_LEAST = 0.05  # of a side: a smaller crop is a click
_LEAST_MASK = 0.01  # of a side: a smaller mask is a click
_DRAWN = "drawn_crop"  # in the session: the drawn crop, as shares; it counts until another one is drawn or it is removed
_MASKS = "changed_masks"  # in the session: the places that the person draws or clears
_VIDEO = "cropped_video"  # in the session: the video that crop and masks were drawn for
_Drawing = Literal["part", "mask"]
_DRAWINGS: dict[_Drawing, str] = {"part": "the part to look at", "mask": "a place to fill"}
_UNCOVERED = (
    "A found place is not filled. What is written there may name the patient or give the diagnosis away: the model, the "
    "reports and everyone who sees this case see it."
)


_HINT = "Draw a rectangle over each place that must not be seen, such as a name or a logo."
_WHOLE = "Draw a rectangle in the picture if only a part of it shows tissue."


def frame_choice(
    video: Path, identity: tuple[int, int], second: float, writing: WritingRule, writings: Sequence[Writing]
) -> None:
    """Draw the frame, its filled places and the crop, and take over what is newly drawn.

    Args:
        video: The file or folder.
        identity: Size and time of change of the file, so that a replaced file is read again.
        second: The moment of the frame.
        writing: Which writing is filled.
        writings: The writing that was found, with boxes as shares of the whole frame.
    """
    masks = changed_masks()
    drawing = st.segmented_control(
        "Draw",
        _DRAWINGS,
        format_func=_DRAWINGS.__getitem__,
        default="part",
        key="drawing",
        help="The model sees only the part to look at. A place to fill is covered in every frame before anything sees it.",
    )
    masked = drawing == "mask"
    # a new key for each new mask: the rectangle that was drawn for the last one is gone
    key = f"frame_mask_{len(masks.drawn) if masks else 0}" if masked else "frame_crop"
    st.altair_chart(
        _chart(
            _picture(str(video), identity, second, writing, masks), writings, st.session_state.get(_DRAWN)
        ),
        key=key,
        on_select=partial(_take_mask_over if masked else _take_over, key),
        selection_mode="crop",
        width="content",
        alt="A frame of the video with its writing filled, and the part that is looked at",
    )
    drawn = st.session_state.get(_DRAWN)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_HINT if masked else _in_words(drawn) if drawn else _WHOLE)
        if drawn and not masked:
            st.button(
                "Use the whole frame",
                key="no_crop",
                type="tertiary",
                icon=":material/crop_free:",
                on_click=_forget_crop,
            )
    if masks and masks.cleared:
        st.warning(_UNCOVERED, icon=":material/visibility:")


def drawn_crop() -> Crop | None:
    """Return the crop that was drawn for this video, as shares; None for the whole frame."""
    return st.session_state.get(_DRAWN)


def changed_masks() -> Masks | None:
    """Return the places that were drawn or cleared for this video, as shares; None if none was."""
    return st.session_state.get(_MASKS)


def mask_buttons(number: int, writing: Writing) -> None:
    """Draw the button that changes whether a place is filled.

    Args:
        number: The number of the place in the list.
        writing: The place.
    """
    masks = changed_masks() or Masks()
    box = _outwards(writing.box)
    if writing.kind == "drawn":
        label, icon, drawn = "Remove", ":material/delete:", tuple(m for m in masks.drawn if not _same(m, box))
        changed = masks.model_copy(update={"drawn": drawn})
    elif masks.clears(writing.box):
        label, icon = "Fill it again", ":material/undo:"
        kept = tuple(place for place in masks.cleared if not Masks(cleared=(place,)).clears(writing.box))
        changed = masks.model_copy(update={"cleared": kept})
    elif writing.filled:
        label, icon = "Do not fill", ":material/visibility:"
        changed = masks.model_copy(update={"cleared": (*masks.cleared, box)})
    else:
        label, icon = "Fill it", ":material/format_color_fill:"
        changed = masks.model_copy(update={"drawn": (*masks.drawn, box)})
    full = max(len(changed.drawn), len(changed.cleared)) > MAX_MASKS
    st.button(
        label,
        key=f"mask_{number}",
        type="tertiary",
        icon=icon,
        disabled=full,
        help=_UNCOVERED if label == "Do not fill" else None,
        on_click=_keep_masks,
        args=(changed,),
    )


def forget_crop_of_other(video: Path | None) -> None:
    """Remove a crop and masks that were drawn for another video."""
    if st.session_state.get(_VIDEO) != video:
        st.session_state[_VIDEO] = video
        _forget_crop()
        st.session_state.pop(_MASKS, None)


def crop_of_selection(selection: dict[str, Any], least: float = _LEAST) -> Crop | None:
    """Return the part of a selection as the chart sends it, ``{"x": [0.1, 0.7], "y": [0.2, 0.9]}``; None if it is none.

    Args:
        selection: What the chart sends.
        least: Smallest width and height, as shares.
    """
    across, down = selection.get("x"), selection.get("y")
    if not (isinstance(across, list) and isinstance(down, list) and len(across) == len(down) == 2):
        return None
    left, right = sorted(min(1.0, max(0.0, float(share))) for share in across)
    top, bottom = sorted(min(1.0, max(0.0, float(share))) for share in down)
    if right - left < least or bottom - top < least:
        return None
    return round(left, 3), round(top, 3), round(right, 3), round(bottom, 3)


def _take_over(key: str) -> None:
    crop = crop_of_selection(st.session_state[key]["selection"].get("crop") or {})
    if crop is not None:
        st.session_state[_DRAWN] = crop


def _take_mask_over(key: str) -> None:
    place = crop_of_selection(st.session_state[key]["selection"].get("crop") or {}, _LEAST_MASK)
    masks = changed_masks() or Masks()
    if place is not None and len(masks.drawn) < MAX_MASKS:
        _keep_masks(masks.model_copy(update={"drawn": (*masks.drawn, place)}))


def _keep_masks(masks: Masks) -> None:
    st.session_state[_MASKS] = masks or None


def _outwards(box: Crop) -> Crop:
    """A place with four decimals that covers the whole box."""
    left, top = (math.floor(share * 1e4) / 1e4 for share in box[:2])
    right, bottom = (min(1.0, math.ceil(share * 1e4) / 1e4) for share in box[2:])
    return left, top, right, bottom


def _same(mask: Crop, box: Crop) -> bool:
    """Whether a box was found for this mask: it is the mask in whole pixels of the frame."""
    return max(abs(a - b) for a, b in zip(mask, box, strict=True)) < _LEAST_MASK / 2


def _forget_crop() -> None:
    st.session_state.pop(_DRAWN, None)


def _in_words(crop: Crop) -> str:
    left, top, right, bottom = (round(100 * share) for share in crop)
    return (
        f"The model sees {left}% to {right}% across and {top}% to {bottom}% down, inside the green rectangle."
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _picture(
    video: str, identity: tuple[int, int], second: float, writing: WritingRule, masks: Masks | None
) -> str:
    """The whole frame with its writing filled, as a data URL of a JPEG, and its width by its height after ``#``."""
    import cv2

    from videopath.app.web.runtime.playable import frame_at

    frame: np.ndarray = frame_at(Path(video), second, writing=writing, masks=masks)
    scale = min(1.0, SIDE / max(frame.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(coded.tobytes()).decode()}#{width}x{height}"


def _chart(picture: str, writings: Sequence[Writing], crop: Crop | None) -> Any:
    from videopath.app.figures.plots import load_altair

    alt = load_altair()
    url, _, size = picture.partition("#")
    width, height = map(int, size.split("x"))
    across = alt.X("x:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)
    down = alt.Y("y:Q", scale=alt.Scale(domain=[1, 0], nice=False), axis=None)
    image = (
        alt.Chart(alt.Data(values=[{"x": 0.5, "y": 0.5, "url": url}]))
        # of the view's own size: the page may give it less than was asked for, and shares count from its corners
        .mark_image(width=alt.expr("width"), height=alt.expr("height"), aspect=False)
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
    return alt.layer(*layers).properties(
        width=width, height=height + _BELOW, padding=0, autosize=alt.AutoSizeParams(type="none")
    )


def _rectangle(box: Crop) -> dict[str, Any]:
    left, top, right, bottom = box
    return {"x": left, "y": top, "x2": right, "y2": bottom}


def _why(writing: Writing) -> str:
    return f"{'filled' if writing.filled else 'not filled'}: {writing.reason}"
