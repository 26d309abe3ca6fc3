"""What a person sees of a video before anything expensive runs: its frames, what it is, and whether it will do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from videopath.app.web.components.shared.inert import inert
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.agent.cases.preview import Preview
    from videopath.agent.cases.records import VideoFacts

_WIDTH, _SMALL_WIDTH = 196, 130  # pixels of a thumbnail: four in a row at 1280 pixels, or six of many
_FEW = 12  # thumbnails up to which they are large
_SHOWN = 32  # thumbnails at most


def preview_strip(
    video: Path, frames: int, start: float | None, end: float | None, sampling: str
) -> Preview | None:
    """Show the frames as a case would see them, and the quality gate's verdict; none, with why, where it cannot."""
    with st.container(key="preview"):
        try:
            seen = _looked_at(str(video), _identity(video), frames, start, end, sampling)
        except InputError as error:
            st.error(inert(str(error)), icon=":material/error:")
            return None
        _verdict(seen)
        if seen.burned_in.writings:
            st.warning(inert(seen.burned_in.sentence), icon=":material/text_fields:")
        _frames(seen)
        return seen


def _identity(video: Path) -> tuple[int, int]:
    """Size and time of change, so that a file that was replaced is looked at again."""
    try:
        stat = video.stat()
    except OSError:
        return (0, 0)  # reading it says why, in words
    return stat.st_size, stat.st_mtime_ns


@st.cache_data(max_entries=16, show_spinner="Reading the video…")
def _looked_at(
    video: str,
    identity: tuple[int, int],
    frames: int,
    start: float | None,
    end: float | None,
    sampling: Any,
) -> Preview:
    from videopath.agent.cases.preview import preview

    return preview(video, frames=frames, start=start, end=end, sampling=sampling)


def _verdict(seen: Preview) -> None:
    told = inert(" ".join(seen.quality.sentences))
    if seen.quality.verdict == "good":
        st.success(f"Good quality. {told}", icon=":material/check_circle:")
    elif seen.quality.verdict == "fair":
        st.warning(f"Fair quality. {told}", icon=":material/warning:")
    else:
        st.error(f"Refused. {told}", icon=":material/block:")


def _frames(seen: Preview) -> None:
    """Each frame once: a short video gives some of its frames several times."""
    facts = seen.facts
    places = [facts.indices.index(number) for number in dict.fromkeys(facts.indices)]
    shown = places[:_SHOWN]
    moments = ["still image" if facts.kind == "image" else f"{facts.seconds[at]:.2f} s" for at in shown]
    st.image(
        [seen.thumbnails[at] for at in shown],
        caption=moments,
        width=_WIDTH if len(shown) <= _FEW else _SMALL_WIDTH,
        alt=[f"sampled frame, {moment}" for moment in moments],
    )
    more = f" The first {_SHOWN} are shown." if len(places) > _SHOWN else ""
    st.caption(inert(_facts(facts, len(places)) + more))


def _facts(facts: VideoFacts, looked_at: int) -> str:
    size = f"{facts.width} × {facts.height} pixels"
    if facts.kind == "image":
        return f"Image of {size}."
    what = (
        f"Video of {size}, {facts.duration:.1f} s" if facts.kind == "video" else f"Folder of frames, {size}"
    )
    return f"{what}; {looked_at} of {facts.total_frames} frames are looked at."
