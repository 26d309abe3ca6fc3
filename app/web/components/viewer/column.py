"""The left column of a case's page: the video or picture with its findings, in the viewer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from videopath.agent.report.phrases import basis_in_words
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.components.viewer.component import mount
from videopath.app.web.components.viewer.drafts import choose_segment, drafts, keep_drafts, shown
from videopath.app.web.components.viewer.media import (
    changed_at,
    full_frame,
    media_url,
    small_frame,
    small_frames,
)
from videopath.app.web.components.viewer.messages import (
    AnnotationList,
    Drawn,
    FindingMark,
    LookMark,
    Picture,
    Selected,
    Used,
    ViewerData,
    Wanted,
    received,
)
from videopath.app.web.runtime.masked_copies import CopyState, masked_copies
from videopath.app.web.runtime.services import Services, services
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path
from videopath.media.masks import Masks

_INTERVAL = 1.0  # seconds between two checks of a copy
_SHORTEST = 0.1  # seconds of a segment
_UNDECIDED = ("waiting for review", "done", "abstained")
_ONLY_FRAMES = (
    "The video is not played: writing was filled in the frames of this case, and was not found again in the whole video. "
    "These are the frames, with writing filled."
)


@dataclass(frozen=True)
class _Media:
    """What can be shown of a source, and a sentence on what cannot."""

    url: str = ""
    stills: tuple[Picture, ...] = ()
    note: str = ""
    error: str = ""
    waits: bool = False


def viewer_column(view: CaseView, shared: Services) -> None:
    """Draw the viewer of a case; its events draw only this part of the page again."""
    st.fragment(_column)(view, shared)


def _column(view: CaseView, shared: Services) -> None:
    with st.container(key="findings", gap="small"):
        st.header("Video and findings" if not _is_still(view) else "Picture and findings", anchor=False)
        facts = _facts(view)
        if facts is None:
            st.text("The video is being read." if view.active else "The video was not read.")
            return
        media = _media(view, facts, shared)
        if media.error:
            st.error(inert(media.error), icon=":material/error:")
        if media.note:
            st.caption(media.note)
        if media.waits:
            st.fragment(_progress, run_every=_INTERVAL)(find_path(view.entry.video), view.writing, view.masks)
        with st.container(key="player"):
            mount(_data(view, facts, media), f"viewer_{view.case_id}", lambda *event: _on_event(view, *event))
        if not view.evidence.findings:
            st.text("No finding yet." if view.active else "The description contains no finding.")
    if st.session_state.pop(_key(view, "draw_all"), False):
        st.rerun(scope="app")


def _data(view: CaseView, facts: dict[str, Any], media: _Media) -> ViewerData:
    still = facts["kind"] == "image"
    duration = 0.0 if still else float(facts["duration"])
    full, problem = _full(view)
    findings = [
        FindingMark(
            number=number,
            text=finding.text,
            basis=basis_in_words(finding),
            seconds=max(0.0, finding.seconds) if finding.has_moment else None,
        )
        for number, finding in enumerate(view.evidence.findings, 1)
    ]
    selected = _selected(view)
    moment = findings[selected - 1].seconds if selected else None
    return ViewerData(
        kind="video" if media.url else "stills",
        url=media.url,
        duration=duration,
        fps=float(facts["fps"] or 1.0),
        width=facts["width"],
        height=facts["height"],
        stills=list(media.stills),
        full=full,
        problem=problem,
        findings=findings,
        sampled=[] if still else [max(0.0, float(second)) for second in facts["seconds"]],
        looks=_looks(view, duration),
        crop=list(view.crop) if view.crop else None,
        annotations=_annotations(view),
        um_per_pixel=view.report.settings.um_per_pixel if view.report else None,
        may_annotate=_is_undecided(view),
        segment=list(_segment(view, duration)) if _may_choose_segment(view, duration) else None,
        selected=selected,
        moment=moment if moment is not None else float((facts["seconds"] or [0.0])[0]),
    )


def _looks(view: CaseView, duration: float) -> list[LookMark]:
    looks = view.report.looks if view.report is not None else []
    return [
        LookMark(
            label=f"closer look {number}",
            start=look.start or 0.0,
            end=duration if look.end is None else look.end,
            crop=list(look.crop) if look.crop else None,
        )
        for number, look in enumerate(looks)
        if number and (look.start is not None or look.crop)
    ]


def _on_event(view: CaseView, name: str, value: object) -> None:
    """Take what the browser sent; a malformed event changes nothing."""
    if name == "selected" and (selected := received(Selected, value)):
        if selected.number <= len(view.evidence.findings):
            st.session_state[_key(view, "finding")] = selected.number
    elif name == "wanted" and (wanted := received(Wanted, value)):
        st.session_state[_key(view, "wanted")] = wanted.seconds
    elif name == "annotated" and _is_undecided(view) and (marks := received(AnnotationList, value)):
        keep_drafts(view.case_id, marks.items)
    elif name == "used" and (used := received(Used, value)):
        _use(view, used)


def _use(view: CaseView, used: Used) -> None:
    """Let the segment of the review begin or end at a moment."""
    duration = _duration(view)
    if not _may_choose_segment(view, duration):
        return
    start, end = _segment(view, duration)
    at = min(round(used.seconds, 1), duration)
    if used.use == "start":
        start, end = min(at, duration - _SHORTEST), end if end > at else duration
    else:
        start, end = start if start < at else 0.0, max(at, _SHORTEST)
    choose_segment(view.case_id, round(start, 1), round(end, 1))
    st.session_state[_key(view, "segment")] = (start, end)
    st.session_state[_key(view, "draw_all")] = True  # the form is another part of the page


def _full(view: CaseView) -> tuple[Picture | None, str]:
    """The frame that was asked for in full resolution, or why it cannot be shown."""
    wanted = st.session_state.get(_key(view, "wanted"))
    if wanted is None:
        return None, ""
    try:
        frame = full_frame(view.entry.video, changed_at(view.entry.video), wanted, view.writing, view.masks)
    except InputError as error:
        return None, f"The frame cannot be shown: {error}"
    return Picture(seconds=wanted, url=media_url(frame, "image/jpeg", f"full {view.case_id}")), ""


def _media(view: CaseView, facts: dict[str, Any], shared: Services) -> _Media:
    """The video with its writing filled; while that copy is made, the frames that the model saw."""
    path = find_path(view.entry.video)
    if not path.exists():
        return _Media(error=f"The video is no longer at {view.entry.video}. Put it back to see it here.")
    if facts["kind"] == "image":
        return _still(view)
    with st.spinner("Preparing the video for the browser…", show_time=True):
        copy = masked_copies().state(
            path, shared.home / "cache", view.writing, view.masks, start=not view.active
        )
    if copy.error:
        return _Media(error=f"The video cannot be shown: {copy.error}")
    if copy.file is not None and (copy.masked or not _filled(view)):
        kind = "video/webm" if copy.file.suffix.lower() == ".webm" else "video/mp4"
        return _Media(url=media_url(copy.file, kind, f"video {view.case_id}"))
    return _frames(view, copy)


def _still(view: CaseView) -> _Media:
    try:
        picture = small_frame(view.entry.video, changed_at(view.entry.video), 0.0, view.writing, view.masks)
    except InputError as error:
        return _Media(error=f"The picture cannot be shown: {error}")
    url = media_url(picture, "image/jpeg", f"still {view.case_id}")
    return _Media(stills=(Picture(seconds=0.0, url=url),))


def _frames(view: CaseView, copy: CopyState) -> _Media:
    waits = copy.file is None
    note = _ONLY_FRAMES if not waits else ""
    if view.active:
        note = "The video can be played when the case has ended. These are its frames, with writing filled."
    if view.request is None:
        return _Media(note=note)
    try:
        frames = small_frames(view.request, changed_at(view.entry.video))
    except InputError as error:
        return _Media(error=f"The frames cannot be shown: {error}")
    stills = tuple(
        Picture(seconds=max(0.0, seconds), url=media_url(picture, "image/jpeg", f"{view.case_id} {number}"))
        for number, (seconds, picture) in enumerate(frames)
    )
    return _Media(stills=stills, note=note, waits=waits and not view.active)


def _progress(video: Path, writing: WritingRule, masks: Masks | None) -> None:
    """Show how far the copy is; draw the page again when it is ready."""
    copy = masked_copies().state(video, services().home / "cache", writing, masks)
    if copy.file is not None or copy.error:
        st.rerun()
    st.progress(copy.share, text="Writing in the video is searched and filled before it can be played")


def _filled(view: CaseView) -> bool:
    """Whether writing was filled in the frames of the case."""
    intake = next((step.detail.get("burned_in_text") for step in view.steps if step.name == "intake"), None)
    places = intake.get("writings", []) if isinstance(intake, dict) else []
    return any(place.get("filled") for place in places)


def _annotations(view: CaseView) -> list[Drawn]:
    """The marks that no decision has taken yet; of a decided case those of its decisions."""
    if _is_undecided(view):
        return drafts(view.case_id)
    return shown(view.report) if view.report is not None else []


def _is_undecided(view: CaseView) -> bool:
    return view.report is not None and view.report.status in _UNDECIDED


def _may_choose_segment(view: CaseView, duration: float) -> bool:
    waiting = view.report is not None and view.report.status == "waiting for review"
    return waiting and duration > 2 * _SHORTEST


def _segment(view: CaseView, duration: float) -> tuple[float, float]:
    """The segment of the review: of its form, or as it was chosen here since."""
    whole = (0.0, round(duration, 1))
    start, end = st.session_state.get("segment") or st.session_state.get(_key(view, "segment")) or whole
    return float(start), float(end)


def _selected(view: CaseView) -> int:
    """The number of the selected finding, from 1; 0 if none is selected."""
    number: int = st.session_state.get(_key(view, "finding"), 0)
    known = number <= len(view.evidence.findings)
    return number if known and number and view.evidence.findings[number - 1].has_moment else 0


def _is_still(view: CaseView) -> bool:
    facts = _facts(view)
    return facts is not None and facts["kind"] == "image"


def _duration(view: CaseView) -> float:
    facts = _facts(view)
    return 0.0 if facts is None or facts["kind"] == "image" else float(facts["duration"])


def _facts(view: CaseView) -> dict[str, Any] | None:
    """The facts about the video from the intake; None before it has finished."""
    return next((step.detail.get("facts") for step in view.steps if step.name == "intake"), None)


def _key(view: CaseView, name: str) -> str:
    return f"{name}:{view.case_id}"
