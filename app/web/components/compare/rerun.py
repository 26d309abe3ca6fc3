"""Run a case again with another model, knowledge base or number of frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.shared.choices import knowledge_bases, knowledge_name, models
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.runtime.services import Services, owner
from videopath.app.web.runtime.worker import Submission
from videopath.core.choices import MAX_FRAMES
from videopath.core.errors import VideoPathError

if TYPE_CHECKING:
    from videopath.agent import CaseReport


def rerun_form(shared: Services, report: CaseReport) -> None:
    """Ask for the changes and submit the case to the worker as a new case."""
    if report.video is None:
        st.info("The video of this case was never read, so the case cannot be run again.")
        return
    settings, clip_frames = report.settings, len(report.video.seconds)
    bases = knowledge_bases(shared)
    if settings.knowledge and Path(settings.knowledge) not in bases.values():
        bases[settings.knowledge] = Path(settings.knowledge)
    used = [entry.model for entry in shared.library.list()]
    names = models(shared, [settings.model, *used])
    with st.form("again", border=False):
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
        if st.form_submit_button("Run again", key="run_again", type="primary", icon=":material/replay:"):
            unchanged = model == settings.model and frames == clip_frames
            _submit(shared, report, model, bases[base], settings.frames if unchanged else frames)


def _index_of(bases: dict[str, Path | None], folder: str | None) -> int:
    path = Path(folder) if folder else None
    return list(bases.values()).index(path)


def _submit(
    shared: Services, report: CaseReport, model: str, knowledge: Path | None, frames: int | None
) -> None:
    from videopath.agent import CaseRequest, new_case_id

    submission = Submission(
        CaseRequest.of(report, new_case_id()),
        owner(),
        model,
        knowledge,
        report.settings.review,
        frames,
        bool(report.settings.policy.get("accept_uncalibrated")),
    )
    try:
        shared.worker.submit(submission)
    except VideoPathError as error:
        st.error("The case was not started.", icon=":material/error:")
        st.text(str(error))
        return
    open_case(submission.case.case_id)
