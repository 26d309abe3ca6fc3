"""Run a case again with another site, question, segment, model, second opinion, knowledge base or number of frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from videopath.agent import CaseReport, CaseRequest, new_case_id
from videopath.app.web.components.shared.choices import knowledge_bases, knowledge_name, models
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.runtime.services import Services, owner
from videopath.app.web.runtime.worker import Submission
from videopath.core.choices import MAX_FRAMES
from videopath.core.errors import VideoPathError
from videopath.core.pathology.sites import SITES

_RECENT = 500  # cases whose models are offered
_SHORTEST = 0.2  # seconds of a video of which a segment can be chosen


def rerun_dialog(shared: Services, report: CaseReport) -> None:
    """Open the dialog to run a case again; its form is filled from the case."""
    st.dialog("Run this case again with …", width="large")(rerun_form)(shared, report)


def rerun_form(shared: Services, report: CaseReport) -> None:
    """Ask for the changes and submit the case to the worker as a new case."""
    if report.video is None:
        st.info("The video of this case was never read, so the case cannot be run again.")
        return
    settings, clip_frames = report.settings, len(report.video.seconds)
    bases = knowledge_bases(shared)
    if settings.knowledge and Path(settings.knowledge) not in bases.values():
        bases[settings.knowledge] = Path(settings.knowledge)
    used = [entry.model for entry in shared.library.list(limit=_RECENT)]
    names = models(shared, [settings.model, *used])
    with st.form("again", border=False):
        site, question = _what_is_asked(report)
        columns = st.columns(3)
        model = columns[0].selectbox(
            "Model",
            names,
            index=names.index(settings.model),
            key="again_model",
            accept_new_options=True,
            help="A name from the list, a checkpoint folder or a Hugging Face id.",
        )
        base = columns[1].selectbox(
            "Knowledge base",
            list(bases),
            index=_index_of(bases, settings.knowledge),
            format_func=lambda name: knowledge_name(bases[name]),
            key="again_knowledge",
        )
        frames = columns[2].number_input(
            "Frames",
            1,
            MAX_FRAMES,
            value=settings.frames or clip_frames,
            key="again_frames",
            help="Number of frames that the model sees.",
        )
        second = st.selectbox(
            "Second opinion of",
            names,
            index=None,
            key="again_second",
            accept_new_options=True,
            placeholder="as usual",
            help="Another model that sees the same frames. If it gives another diagnosis, the confidence is lower.",
        )
        start, end = _segment(report)
        if st.form_submit_button("Run again", key="run_again", type="primary", icon=":material/replay:"):
            unchanged = model == settings.model and frames == clip_frames
            request = replace(
                CaseRequest.of(report, new_case_id()), site=site, question=question, start=start, end=end
            )
            _submit(
                shared, report, request, model, second, bases[base], settings.frames if unchanged else frames
            )


def _what_is_asked(report: CaseReport) -> tuple[str | None, str | None]:
    """Draw site and question; return them."""
    left, right = st.columns(2)
    sites = list(dict.fromkeys([*SITES, *([report.site] if report.site else [])]))
    site = left.selectbox(
        "Site",
        sites,
        index=sites.index(report.site) if report.site else None,
        key="again_site",
        placeholder="not known",
    )
    question = right.text_input(
        "Question", report.question or "", key="again_question", placeholder="the best diagnosis"
    )
    return site, question.strip() or None


def _segment(report: CaseReport) -> tuple[float | None, float | None]:
    """Draw the segment to look at; return its seconds, None for an end of the video."""
    settings, video = report.settings, report.video
    length = round(video.duration, 1) if video is not None and video.kind != "image" else 0.0
    if length <= _SHORTEST:
        return settings.start, settings.end
    before = (max(0.0, settings.start or 0.0), min(length, settings.end or length))
    chosen = st.slider("Segment to look at, in seconds", 0.0, length, before, step=0.1, key="again_segment")
    if chosen == before:
        return settings.start, settings.end
    return chosen[0] or None, None if chosen[1] >= length else chosen[1]


def _index_of(bases: dict[str, Path | None], folder: str | None) -> int:
    path = Path(folder) if folder else None
    return list(bases.values()).index(path)


def _submit(
    shared: Services,
    report: CaseReport,
    request: CaseRequest,
    model: str,
    second: str | None,
    knowledge: Path | None,
    frames: int | None,
) -> None:
    submission = Submission(
        request,
        owner(),
        model,
        knowledge,
        report.settings.review,
        frames,
        bool(report.settings.policy.get("accept_uncalibrated")),
        second_opinion=second,
    )
    try:
        shared.worker.submit(submission)
    except VideoPathError as error:
        st.error("The case was not started.", icon=":material/error:")
        st.text(str(error))
        return
    open_case(submission.case.case_id)
