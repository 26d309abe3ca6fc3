"""Run a case once more with one thing changed."""

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
    """Ask what shall be different and hand the case to the worker as a new one."""
    if report.video is None:
        st.info("Its video was never read, so there is nothing to run again.")
        return
    chosen, seen = report.settings, len(report.video.seconds)
    bases = knowledge_bases(shared)
    if chosen.knowledge and Path(chosen.knowledge) not in bases.values():
        bases[chosen.knowledge] = Path(chosen.knowledge)
    used = [entry.model for entry in shared.library.list()]
    names = models(shared, [chosen.model, *used])
    with st.form("again", border=False):
        columns = st.columns(3)
        model = columns[0].selectbox(
            "Model",
            names,
            index=names.index(chosen.model),
            key="again_model",
            accept_new_options=True,
            help="A name from the list, a checkpoint folder or a hub id.",
        )
        base = columns[1].selectbox(
            "Knowledge",
            list(bases),
            index=_place(bases, chosen.knowledge),
            format_func=lambda name: knowledge_name(bases[name]),
            key="again_knowledge",
        )
        frames = columns[2].number_input(
            "Frames",
            1,
            MAX_FRAMES,
            value=chosen.frames or seen,
            key="again_frames",
            help="How many the model sees.",
        )
        if st.form_submit_button("Run it again", key="run_again", type="primary", icon=":material/replay:"):
            as_before = model == chosen.model and frames == seen
            _submit(shared, report, model, bases[base], chosen.frames if as_before else frames)


def _place(bases: dict[str, Path | None], folder: str | None) -> int:
    wanted = Path(folder) if folder else None
    return list(bases.values()).index(wanted)


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
        st.error("It was not begun.", icon=":material/error:")
        st.text(str(error))
        return
    open_case(submission.case.case_id)
