"""The page New case: a video, the facts that are known, and the settings of the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from videopath.agent import CaseRequest
from videopath.app.web.components.new_case.preview_strip import preview_strip
from videopath.app.web.components.new_case.video_choice import choose_video, draft_id, forget_draft
from videopath.app.web.components.shared.choices import knowledge_bases, knowledge_name, models
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.runtime.services import Services, owner, services
from videopath.app.web.runtime.worker import Submission
from videopath.core.choices import MAX_FRAMES, REVIEW_MODES, WRITING_RULES, ReviewMode, WritingRule
from videopath.core.errors import InputError, KnowledgeError, ModelError, VideoPathError
from videopath.core.folders import visitor_model, visitor_path
from videopath.core.pathology.sites import SITES
from videopath.media.crop import Crop, checked_crop, parse_crop

_REVIEW = {"never": "never", "uncertain": "when the agent is unsure", "always": "always"}
_SAMPLING = {"uniform": "evenly spread", "fps": "one per second", "keyframes": "those that differ"}
_WRITING = {
    "mask-all": "all of it is filled",
    "mask-personal": "what may name a person is filled",
    "keep": "kept as it is",
}
_FRAMES = 32  # if the model's own number cannot be read


@dataclass(frozen=True)
class _Choices:
    """The values of the form, without the video."""

    site: str | None
    question: str | None
    model: str
    knowledge: Path | None
    review: ReviewMode
    frames: int | None
    start: float | None
    end: float | None
    sampling: str
    exclude: tuple[str, ...]
    accept_uncalibrated: bool
    writing: WritingRule
    crop: Crop | None

    def request(self, video: Path, case_id: str) -> CaseRequest:
        """Return the request for a case of this video."""
        return CaseRequest(
            video,
            self.question,
            self.site,
            self.start,
            self.end,
            self.sampling,
            self.exclude,
            case_id,
            writing=self.writing,
            crop=self.crop,
        )


def show() -> None:
    """Ask for a video, show the frames that the model will see, and start the case."""
    shared = services()
    st.title("New case")
    if shared.worker.engines.problem:
        st.error(inert(shared.worker.engines.problem), icon=":material/error:")
    video = choose_video(shared)
    choices = _choose(shared)
    ready = video is not None and choices is not None and _preview(video, choices)
    if video is None:
        st.info("Choose a video: its frames and its quality are shown here before the case starts.")
    _queue_length(shared)
    if st.button("Start", key="start_case", type="primary", icon=":material/play_arrow:", disabled=not ready):
        assert video is not None
        assert choices is not None
        _start(shared, video, choices)


def _choose(shared: Services) -> _Choices | None:
    """Draw the form; return None, with the reason on the page, if visitors may not open a path or the crop is wrong."""
    first = st.columns([1, 2])
    site = first[0].selectbox(
        "Site",
        list(SITES),
        index=None,
        placeholder="not given",
        key="site",
        help="Organ that the tissue comes from.",
    )
    question = first[1].text_input(
        "Question", key="question", max_chars=2000, placeholder="default: the most likely diagnosis"
    )
    bases = knowledge_bases(shared)
    second = st.columns(3)
    model = second[0].selectbox(
        "Model",
        models(shared),
        key="model",
        accept_new_options=True,
        help="A name from the list, or type a checkpoint folder or a Hugging Face id.",
    )
    base = second[1].selectbox(
        "Knowledge base",
        list(bases),
        format_func=lambda name: knowledge_name(bases.get(name, name)),
        key="knowledge",
        accept_new_options=True,
        help="Where similar cases are searched: a name from the list, or type a folder.",
    )
    modes = REVIEW_MODES
    review = second[2].selectbox(
        "Review by a person",
        modes,
        index=modes.index(shared.settings.review),
        format_func=_REVIEW.__getitem__,
        key="review_mode",
    )
    third = st.columns(4)
    usual = "the model's own"
    frames = third[0].number_input(
        "Frames", 1, MAX_FRAMES, value=shared.settings.frames, step=1, placeholder=usual, key="frames"
    )
    sampling = third[1].selectbox(
        "Sampling", list(_SAMPLING), format_func=_SAMPLING.__getitem__, key="sampling"
    )
    start = third[2].number_input("From second", 0.0, value=None, placeholder="beginning", key="start")
    end = third[3].number_input("To second", 0.0, value=None, placeholder="end", key="end")
    writing, part = _part_of_the_frame(shared.settings.writing)
    excluded = st.text_input(
        "Exclude from the search",
        key="exclude",
        placeholder="only this video",
        help="Patients, groups, slides or videos, separated by commas; their records are not used. Records of this video, "
        "and records that show the same frames, are always excluded.",
    )
    uncalibrated = st.checkbox(
        "Report answers of a model that is not calibrated",
        value=shared.settings.accept_uncalibrated,
        key="accept_uncalibrated",
        help="The confidence of such a model was never fitted. Without this option the agent asks for a review, or abstains "
        "if there is no review.",
    )
    exclude = tuple(name.strip() for name in excluded.split(",") if name.strip())
    try:
        model_name = visitor_model(model or shared.settings.model, shared.settings)
        knowledge = bases[base] if base in bases else visitor_path(base, shared.settings)
        crop = part()
    except InputError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return None
    return _Choices(
        site, question.strip() or None, model_name, knowledge, review, frames, start, end,
        sampling, exclude, uncalibrated, writing, crop,
    )  # fmt: skip


def _part_of_the_frame(rule: WritingRule) -> tuple[WritingRule, Callable[[], Crop | None]]:
    """Draw the rule for writing and the crop; return the rule, and what reads the crop (it raises ``InputError``)."""
    columns = st.columns([2, 2, 2, 2])
    writing = columns[0].selectbox(
        "Burned-in writing",
        WRITING_RULES,
        index=WRITING_RULES.index(rule),
        format_func=_WRITING.__getitem__,
        key="writing",
        help="Writing is filled before anything sees a frame. The file itself is never changed.",
    )
    across = columns[1].slider("Crop left and right, %", 0, 100, (0, 100), key="crop_across")
    down = columns[2].slider("Crop top and bottom, %", 0, 100, (0, 100), key="crop_down")
    typed = columns[3].text_input(
        "Crop, typed",
        key="crop",
        placeholder="left,top,right,bottom",
        help="Shares from 0 to 1, or pixels if a number is above 1. It counts in place of the sliders.",
    )

    def crop() -> Crop | None:
        if typed.strip():
            return parse_crop(typed)
        if (across, down) == ((0, 100), (0, 100)):
            return None
        return checked_crop((across[0] / 100, down[0] / 100, across[1] / 100, down[1] / 100))

    return writing, crop


def _preview(video: Path, choices: _Choices) -> bool:
    """Show the preview; return whether the video can be used."""
    preview = preview_strip(
        video,
        choices.frames or _default_frames(choices.model),
        choices.start,
        choices.end,
        choices.sampling,
        choices.crop,
        choices.writing,
    )
    return preview is not None and preview.quality.verdict != "refused"


def _default_frames(model: str) -> int:
    from videopath.model.inference.engine import default_frames

    try:
        return default_frames(model) or _FRAMES
    except ModelError:
        return _FRAMES  # loading the model will report the error


def _queue_length(shared: Services) -> None:
    ahead = len(shared.worker.queue())
    if ahead:
        st.caption(
            f"{ahead} {'case is' if ahead == 1 else 'cases are'} running or waiting now; visitors take turns."
        )


def _start(shared: Services, video: Path, choices: _Choices) -> None:
    submission = Submission(
        choices.request(video, draft_id()),
        owner(),
        choices.model,
        choices.knowledge,
        choices.review,
        choices.frames,
        choices.accept_uncalibrated,
    )
    try:
        _check_knowledge(choices.knowledge)
        shared.worker.submit(submission)
    except VideoPathError as error:
        st.error(inert(f"The case was not started. {error}"), icon=":material/error:")
        return
    forget_draft()
    open_case(submission.case.case_id)


def _check_knowledge(folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise KnowledgeError(f"There is no folder {folder}; give a knowledge base, or choose the starter.")
