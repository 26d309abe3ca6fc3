"""The preview of a video before anything expensive runs: its frames, its facts and the quality gate's verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from videopath.agent.report.phrases import KEPT
from videopath.agent.report.values import place_in_words
from videopath.app.web.components.new_case.frame_choice import SIDE, frame_choice, mask_buttons
from videopath.app.web.components.shared.inert import inert
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.media.crop import Crop
from videopath.media.masks import Masks

if TYPE_CHECKING:
    from videopath.agent.cases.preview import Preview
    from videopath.agent.cases.records import VideoFacts
    from videopath.media.writing.records import BurnedIn

_WIDTH, _SMALL_WIDTH = 130, 100  # pixels of a thumbnail: three in a row, or four of many
_STRIP = 424  # pixels of the thumbnails beside the picture at 1280 pixels
_FEW = 12  # up to this number the thumbnails are large
_MOST = 32  # thumbnails


def preview_strip(
    video: Path,
    frames: int,
    start: float | None,
    end: float | None,
    sampling: str,
    crop: Crop | None,
    writing: WritingRule,
    masks: Masks | None = None,
) -> Preview | None:
    """Show the frames that a case would see, filled and cropped, and the quality gate's verdict.

    Returns:
        The preview; None, with the reason on the page, if the video cannot be read.
    """
    with st.container(key="preview"):
        try:
            preview = _preview(
                str(video), _identity(video), frames, start, end, sampling, crop, writing, masks
            )
        except InputError as error:
            st.error(inert(str(error)), icon=":material/error:")
            return None
        _verdict(preview)
        beside = st.container(horizontal=True, gap="medium")  # one below the other where the page is narrow
        picture, strip = beside.container(width=SIDE), beside.container(width=_STRIP)
        with picture:
            second = preview.facts.seconds[_clearest(preview)]
            here = [one for one in preview.burned_in.writings if second in one.seconds]
            frame_choice(video, _identity(video), second, writing, here)
        with strip:
            _frames(preview)
            _writing(preview.burned_in)
        return preview


def _clearest(preview: Preview) -> int:
    """The frame whose grey levels differ most: tissue or a slide, and no title card or black frame."""
    return int(preview.thumbnails.std(axis=(1, 2, 3)).argmax())


def _identity(video: Path) -> tuple[int, int]:
    """Size and time of change, so that a replaced file is read again."""
    try:
        stat = video.stat()
    except OSError:
        return (0, 0)  # reading the video then reports the error
    return stat.st_size, stat.st_mtime_ns


@st.cache_data(max_entries=16, show_spinner="Reading the video…")
def _preview(
    video: str,
    identity: tuple[int, int],
    frames: int,
    start: float | None,
    end: float | None,
    sampling: Any,
    crop: Crop | None,
    writing: WritingRule,
    masks: Masks | None,
) -> Preview:
    from videopath.agent.cases.preview import preview

    return preview(
        video, frames=frames, start=start, end=end, sampling=sampling, crop=crop, writing=writing, masks=masks
    )


def _writing(found: BurnedIn) -> None:
    """Say what burned-in writing was found, and name each place."""
    if found.rule == "keep":
        st.warning(KEPT, icon=":material/warning:")
    if not found.writings:
        return
    box = st.info if all(writing.filled for writing in found.writings) else st.warning
    box(inert(found.sentence), icon=":material/text_fields:")
    with st.expander("Where writing was found, and what is filled"):
        for number, writing in enumerate(found.writings, 1):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(f"{number}. {place_in_words(writing)}", width="stretch")
                mask_buttons(number, writing)


def _verdict(preview: Preview) -> None:
    sentences = inert(" ".join(preview.quality.sentences))
    if preview.quality.verdict == "good":
        st.success(f"Good quality. {sentences}", icon=":material/check_circle:")
    elif preview.quality.verdict == "fair":
        st.warning(f"Fair quality. {sentences}", icon=":material/warning:")
    else:
        st.error(f"Refused. {sentences}", icon=":material/block:")


def _frames(preview: Preview) -> None:
    """Show each frame once; the clip of a short video repeats frames."""
    facts = preview.facts
    distinct = [facts.indices.index(number) for number in dict.fromkeys(facts.indices)]
    first = distinct[:_MOST]
    moments = ["still image" if facts.kind == "image" else f"{facts.seconds[index]:.2f} s" for index in first]
    st.image(
        [preview.thumbnails[index] for index in first],
        caption=moments,
        width=_WIDTH if len(first) <= _FEW else _SMALL_WIDTH,
        alt=[f"sampled frame, {moment}" for moment in moments],
    )
    more = f" The first {_MOST} are shown." if len(distinct) > _MOST else ""
    st.caption(inert(_facts(facts, len(distinct)) + more))


def _facts(facts: VideoFacts, sampled: int) -> str:
    size = f"{facts.width} × {facts.height} pixels"
    if facts.kind == "image":
        return f"Image of {size}."
    source = (
        f"Video of {size}, {facts.duration:.1f} s" if facts.kind == "video" else f"Folder of frames, {size}"
    )
    return f"{source}; the model sees {sampled} of {facts.total_frames} frames."
