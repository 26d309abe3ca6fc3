"""The page New case: a video, its site and the question; the other settings are folded away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from videopath.agent import CaseRequest
from videopath.app.web.components.new_case.frame_choice import changed_masks, drawn_crop, forget_crop_of_other
from videopath.app.web.components.new_case.preview_strip import preview_strip
from videopath.app.web.components.new_case.video_choice import choose_video, draft_id, forget_draft
from videopath.app.web.components.shared.choices import knowledge_bases, knowledge_name, models
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.components.shared.words import explained
from videopath.app.web.runtime.services import Services, owner, services
from videopath.app.web.runtime.worker import Submission
from videopath.core.choices import MAX_FRAMES, REVIEW_MODES, WRITING_RULES, ReviewMode, WritingRule
from videopath.core.errors import InputError, KnowledgeError, ModelError, VideoPathError
from videopath.core.folders import visitor_model, visitor_path
from videopath.core.pathology.sites import SITES
from videopath.media.crop import Crop, parse_crop
from videopath.media.masks import Masks
from videopath.media.scale import read_scale

_REVIEW = {
    "never": "No, show me the result",
    "uncertain": "Yes, if the agent is unsure",
    "always": "Yes, always",
}
_SAMPLING = {"uniform": "evenly spread", "fps": "one per second", "keyframes": "those that differ"}
_WRITING = {
    "mask-all": "all of it is filled",
    "mask-personal": "what may name a person is filled",
    "keep": "kept as it is",
}
_SCALE_OF = "scale_of_video"  # in the session: the video whose scale was read
_READ_SCALE = "read_scale"  # in the session: what was read
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
    um_per_pixel: float | None
    masks: Masks | None

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
            um_per_pixel=self.um_per_pixel,
            masks=self.masks,
        )


def show() -> None:
    """Ask for a video, show the frames that the model will see, and start the case."""
    shared = services()
    st.title("New case")
    if shared.worker.engines.problem:
        st.error(inert(shared.worker.engines.problem), icon=":material/error:")
    video = choose_video(shared)
    forget_crop_of_other(video)
    _read_scale_of(video)
    site, question = _what_is_asked()
    seen, start = st.container(key="seen"), st.container(key="start_bar")
    with st.expander("More settings", icon=":material/tune:", key="more_settings"):
        choices = _choose(shared, site, question)
    with seen:
        ready = video is not None and choices is not None and _preview(video, choices)
        if video is None:
            st.info("Choose a video: its frames and its quality are shown here before the case starts.")
    with start:
        _queue_length(shared)
        if st.button(
            "Start", key="start_case", type="primary", icon=":material/play_arrow:", disabled=not ready
        ):
            assert video is not None
            assert choices is not None
            _start(shared, video, choices)


def _read_scale_of(video: Path | None) -> None:
    """Fill the scale in from the file when another one is chosen, and forget what was read of the last one."""
    if st.session_state.get(_SCALE_OF) == video:
        return
    read = read_scale(video) if video is not None else None
    last = st.session_state.get(_READ_SCALE)
    st.session_state[_SCALE_OF], st.session_state[_READ_SCALE] = video, read
    if read is not None or (last is not None and st.session_state.get("um_per_pixel") == last.um_per_pixel):
        st.session_state["um_per_pixel"] = read and read.um_per_pixel


def _what_is_asked() -> tuple[str | None, str]:
    """Draw site and question, the two facts that help most; return them."""
    left, right = st.columns([1, 2])
    site = left.selectbox(
        "Site",
        list(SITES),
        index=None,
        placeholder="not given",
        key="site",
        help="Organ that the tissue comes from. Similar cases of this organ are searched first.",
    )
    question = right.text_input(
        "Question", key="question", max_chars=2000, placeholder="What is the most likely diagnosis?"
    )
    return site, question


def _choose(shared: Services, site: str | None, question: str) -> _Choices | None:
    """Draw the settings; return None, with the reason on the page, if visitors may not open a path or the crop is wrong."""
    review = st.selectbox(
        "Do you want to check the result before the case ends?",
        REVIEW_MODES,
        index=REVIEW_MODES.index(shared.settings.review),
        format_func=_REVIEW.__getitem__,
        key="review_mode",
    )
    bases = knowledge_bases(shared)
    model_column, base_column = st.columns(2)
    model = model_column.selectbox(
        "Model",
        models(shared),
        key="model",
        accept_new_options=True,
        help="A name from the list, or type a checkpoint folder or a Hugging Face id.",
    )
    base = base_column.selectbox(
        "Knowledge base",
        list(bases),
        format_func=lambda name: knowledge_name(bases.get(name, name)),
        key="knowledge",
        accept_new_options=True,
        help=explained("knowledge base") + " Choose a name from the list, or type a folder.",
    )
    which, first, last, number = st.columns(4)
    sampling = which.selectbox(
        "Frames are chosen",
        list(_SAMPLING),
        format_func=_SAMPLING.__getitem__,
        key="sampling",
        help=explained("sampling"),
    )
    start = first.number_input("From second", 0.0, value=None, placeholder="beginning", key="start")
    end = last.number_input("To second", 0.0, value=None, placeholder="end", key="end")
    frames = number.number_input(
        "Number of frames",
        1,
        MAX_FRAMES,
        value=shared.settings.frames,
        step=1,
        placeholder="the model's own",
        key="frames",
    )
    rule, part = st.columns(2)
    writing = rule.selectbox(
        "Burned-in writing",
        WRITING_RULES,
        index=WRITING_RULES.index(shared.settings.writing),
        format_func=_WRITING.__getitem__,
        key="writing",
        help="Writing is filled before anything sees a frame. The file itself is never changed.",
    )
    typed = part.text_input(
        "Crop, typed",
        key="crop",
        placeholder="left,top,right,bottom",
        help="Shares from 0 to 1, or pixels if a number is above 1. It counts in place of the drawn rectangle.",
    )
    scale = st.number_input(
        "Micrometres per pixel, if you know them",
        value=None,
        min_value=0.001,
        max_value=999.0,
        format="%.4f",
        key="um_per_pixel",
        help="Of the video as it was recorded; at 40× a slide scanner often has 0.25. Then the viewer measures in µm and "
        "shows a scale bar.",
    )
    read = st.session_state.get(_READ_SCALE)
    if read is not None and read.um_per_pixel == scale:
        st.caption(f"{scale:.4g} µm per pixel was read from the file: {read.source}.")
    excluded = st.text_input(
        "Cases that are not used as similar cases",
        key="exclude",
        placeholder="only this video",
        help="Patients, groups, slides or videos, separated by commas; their records are not used. Records of this video, "
        "and records that show the same frames, are always excluded.",
    )
    uncalibrated = st.checkbox(
        "Report answers of a model that is not calibrated",
        value=shared.settings.accept_uncalibrated,
        key="accept_uncalibrated",
        help=explained("calibrated")
        + " Without this option the agent asks you to check such an answer, or abstains if you do not want to be asked.",
    )
    exclude = tuple(name.strip() for name in excluded.split(",") if name.strip())
    try:
        model_name = visitor_model(model or shared.settings.model, shared.settings)
        knowledge = bases[base] if base in bases else visitor_path(base, shared.settings)
        crop = parse_crop(typed) if typed.strip() else drawn_crop()
    except InputError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return None
    return _Choices(
        site, question.strip() or None, model_name, knowledge, review, frames, start, end,
        sampling, exclude, uncalibrated, writing, crop, scale, changed_masks(),
    )  # fmt: skip


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
        choices.masks,
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
