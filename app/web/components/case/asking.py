"""Ask the case: questions to the model that diagnosed it, as a conversation.

The answers are kept beside the report. They are never part of the diagnosis.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from videopath.agent import CaseReport, FollowUp
from videopath.agent.cases.request import MAX_QUESTION
from videopath.agent.report.phrases import (
    follow_up_in_words,
    follow_up_source,
    question_in_words,
    sent_away_sentence,
)
from videopath.agent.report.statements import agent_diagnosis_in_words
from videopath.app.web.components.shared.frames import show_frames
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.case_questions import CaseQuestion, ask_case
from videopath.app.web.runtime.services import Services, owner
from videopath.core.errors import CaseError, VideoPathError

_PENDING = "asking_pending"  # in the session: case → the question that is being answered
_PROBLEM = "asking_problem"  # in the session: case → why the last question has no answer, and its text
_INTERVAL = 0.4  # seconds between two looks at an answer that is being written
_HEIGHT = 300  # pixels of the box in which a conversation scrolls, so that the field stays in reach
_NOT_PART = (
    "Answers are kept with the case. They are never part of the diagnosis, and nobody has checked them. "
    "The model does not remember earlier questions."
)
_PERSON, _MODEL = ":material/person:", ":material/smart_toy:"
_PHASES = {
    "waiting": "In the queue: other work comes first",
    "reading": "The model looks at the frames",
    "writing": "The model writes",
    "ended": "The model has answered",
}


def asking(view: CaseView, shared: Services) -> None:
    """Draw the first question of the case, those asked afterwards, and the field for the next one."""
    report = view.report
    if report is None:
        st.info("The case can be asked about when it has a report.", icon=":material/hourglass_top:")
        return
    with st.container(key="questions"):
        st.header("Ask the case", anchor=False)
        st.caption(_NOT_PART)
        questions = _questions(view.case_id, shared)
        pending = _pending().get(view.case_id)
        any_asked = bool(questions or pending)
        height: Literal["content"] | int = _HEIGHT if any_asked else "content"
        with st.container(height=height, border=any_asked, autoscroll=any_asked, gap="xsmall", key="asked"):
            _first_question(report)
            for number, asked in enumerate(questions):
                _question_and_answer(report, asked, number)
            if pending is not None:
                st.fragment(_growing, run_every=_INTERVAL)(pending)
        _field(view, report, shared, pending)


def _pending() -> dict[str, CaseQuestion]:
    return st.session_state.setdefault(_PENDING, {})


def _problems() -> dict[str, tuple[str, str]]:
    return st.session_state.setdefault(_PROBLEM, {})


def _questions(case_id: str, shared: Services) -> Sequence[FollowUp]:
    """Return the questions that were asked afterwards; none, with the reason on the page, if they cannot be read."""
    try:
        return shared.library.questions(case_id)
    except CaseError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return ()


def _first_question(report: CaseReport) -> None:
    """The question that the case was started with, and whether the diagnosis answers it."""
    if not report.question:
        return
    with st.chat_message("person", avatar=_PERSON):
        st.text(report.question)
        st.caption("Asked when the case was started")
    with st.chat_message("model", avatar=_MODEL):
        st.text(_first_answer(report))
        if report.question_answered is not False:
            who = "a person" if report.has_persons_diagnosis else report.model
            st.caption(inert(f"The diagnosis of the case, by {who}"))
        if report.video is not None:
            _frames(report, report.video.indices, "first")


def _first_answer(report: CaseReport) -> str:
    if report.question_answered is False:
        _, _, why = question_in_words(report).rpartition(" – not answered: ")
        return f"Not answered: {why}."
    own = report.has_persons_diagnosis
    diagnosis = report.diagnosis if own else agent_diagnosis_in_words(report)
    return diagnosis or "Not answered: there is no diagnosis."


def _question_and_answer(report: CaseReport, asked: FollowUp, number: int) -> None:
    with st.chat_message("person", avatar=_PERSON):
        st.text(asked.question or "A question that cannot be read")
    with st.chat_message("model", avatar=_MODEL):
        st.text(follow_up_in_words(asked))
        if asked.asked:
            st.caption(inert(follow_up_source(asked)))
        if asked.frames:
            _frames(report, asked.frames, str(number))


def _frames(report: CaseReport, frames: Sequence[int], key: str) -> None:
    """The frames that a question was asked over, folded; they are decoded when they are unfolded."""
    count = len(frames)
    label = f"Asked over {count} frame{'s' if count > 1 else ''}"
    fold = st.expander(label, icon=":material/photo_library:", key=f"asked_frames_{key}", on_change="rerun")
    if not fold.open:
        return
    with fold:
        st.caption(f"Frames {', '.join(map(str, frames))} of the source")
        request = _request(report, frames)
        if request is None:
            st.text("The report now rests on other frames than this answer, so they are not shown here.")
        else:
            show_frames(request)


def _request(report: CaseReport, frames: Sequence[int]) -> dict[str, object] | None:
    """Return the clip of the report if the question was asked over its frames."""
    from videopath.agent.follow_up import reported_request

    if report.video is None or report.video.indices != list(frames):
        return None
    try:
        return reported_request(report).model_dump()
    except CaseError:
        return None


def _growing(pending: CaseQuestion) -> None:
    """The question that is being answered, with what the model has written; the page is drawn again at its end."""
    phase = pending.phase
    if phase == "ended":
        _settle(pending)
        st.rerun()
    with st.chat_message("person", avatar=_PERSON):
        st.text(pending.question)
    with st.chat_message("model", avatar=_MODEL):
        if pending.text:
            st.text(pending.text)
        st.caption(f"{_PHASES[phase]}: {time.time() - pending.started:.0f} s")
        st.button(
            "Stopping…" if pending.stopping else "Stop",
            key="stop_question",
            icon=":material/stop_circle:",
            disabled=pending.stopping,
            on_click=pending.stop,
        )


def _settle(pending: CaseQuestion) -> None:
    """Forget a question that has ended; without an answer, keep why."""
    _pending().pop(pending.case_id, None)
    if pending.stopping:
        return
    error = pending.answer.exception()
    if error is not None:
        _problems()[pending.case_id] = (str(error), pending.question)


def _field(view: CaseView, report: CaseReport, shared: Services, pending: CaseQuestion | None) -> None:
    """The field for the next question, with the problem of the last one beside it."""
    problem, question = _problems().pop(view.case_id, ("", ""))
    if problem:
        st.error(inert(f"There is no answer. {problem}"), icon=":material/error:")
        st.text(f"Your question was: {question}")
    st.chat_input(
        "Ask about the frames of this case",
        key="ask_case",
        max_chars=MAX_QUESTION,
        disabled=pending is not None,
        on_submit=_ask,
        args=(view.case_id, shared),
    )
    speaker = report.model or "The model of the case"
    frames = f"{len(report.video.indices)} frames" if report.video else "frames"
    st.caption(
        inert(f"{speaker} answers: the model that diagnosed this case, on the {frames} of its report.")
    )
    if address := report.sent_to.get(report.model):
        away = sent_away_sentence({report.model: address})
        st.caption(inert(f"{away} A question sends them there again."))


def _ask(case_id: str, shared: Services) -> None:
    question = st.session_state["ask_case"]
    try:
        _pending()[case_id] = ask_case(shared, owner(), case_id, question)
    except VideoPathError as error:
        _problems()[case_id] = (str(error), question)
