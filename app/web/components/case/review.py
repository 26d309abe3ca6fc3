"""The review: a person accepts, edits, revises or rejects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from videopath.agent import CaseReport, Decision
from videopath.agent.cases.records import VideoFacts
from videopath.agent.report.values import moment
from videopath.app.web.components.case.signout import keep_for_addendum
from videopath.app.web.components.case.steps import in_words
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services, owner
from videopath.core.clock import minute
from videopath.core.errors import VideoPathError

_PROBLEM = "review_problem"  # in the session: why a decision was not used
_REVIEW = "review_drawn"  # in the session: the id of the review that the form was filled for
_NAME = "reviewer_name"  # in the session: the last reviewer, so that a name is typed once
_BUTTONS = (  # action of the decision, key, label, icon
    ("accept", "accept", "Accept", "check_circle"),
    ("edit", "save_edit", "Save my changes", "edit"),
    ("revise", "revise", "Revise with my changes", "redo"),
    ("reject", "reject", "Reject", "thumb_down"),
)
_INTERVAL = 5.0  # seconds between two checks whether somebody else has decided
_ACTIONS = {"accept": "accepted", "edit": "edited", "revise": "revised", "reject": "rejected"}


def refused_decision() -> None:
    """Show why the last decision was not used, whatever the case's state is now."""
    problem = st.session_state.pop(_PROBLEM, "")
    if problem:
        st.error(f"**Your decision was not used.** {inert(problem)}", icon=":material/sync_problem:")


def review(view: CaseView, shared: Services) -> None:
    """Draw the form; its decision counts only for the review that it was drawn for."""
    assert view.report is not None
    report = view.report
    interrupt_id = _waiting(str(shared.home), view.case_id, view.entry.updated)
    st.subheader("Review", anchor="review")
    st.fragment(_warn_if_decided, run_every=_INTERVAL)(shared, view.case_id, view.entry.updated)
    if interrupt_id is None:
        return
    _fill_in(report, interrupt_id)
    with st.form("review", border=True):
        st.text_input("Your name", key="reviewer")
        _corrections(report)
        st.text_area("Comment", key="comment", height=80)
        for column, (action, key, label, icon) in zip(st.columns(4), _BUTTONS, strict=True):
            column.form_submit_button(
                label,
                key=key,
                icon=f":material/{icon}:",
                type="primary" if action == "accept" else "secondary",
                width="stretch",
                on_click=_decide,
                args=(shared, report, interrupt_id, action),
            )
        st.caption(
            "Accept and Save sign the case with your name. After Revise the agent continues from your changes and asks "
            "you again. The old text is kept with each change."
        )


def reviewed(report: CaseReport) -> None:
    """Show the decisions of all reviewers, and their changes."""
    if not report.review:
        return
    with st.container(key="reviewed"):
        st.subheader("Decisions", anchor=False)
        rows = [
            (
                minute(d.decided),
                d.reviewer or "unnamed",
                _ACTIONS.get(d.action, d.action),
                d.comment or "–",
            )
            for d in report.review
        ]
        table(("when (UTC)", "who", "decision", "comment"), rows)
        changes = [
            (
                d.reviewer or "unnamed",
                field.replace("_", " "),
                in_words(change["from"]),
                in_words(change["to"]),
            )
            for d in report.review
            for field, change in d.changes.items()
        ]
        if changes:
            st.markdown("**Changed**")
            table(("by", "field", "from", "to"), changes)


def _warn_if_decided(shared: Services, case_id: str, updated: str) -> None:
    """Warn if somebody else has decided since the page was drawn; the text in the form stays, to be copied."""
    if shared.library.entry(case_id).updated != updated:
        st.warning("Somebody else has decided in the meantime.", icon=":material/sync_problem:")
        if st.button("Show the case as it is now", key="show_now", icon=":material/refresh:"):
            st.rerun()


def _fill_in(report: CaseReport, interrupt_id: str) -> None:
    """Fill the form of a new review with the agent's results, in place of text for an earlier review."""
    state = st.session_state
    new_review = state.get(_REVIEW) != interrupt_id
    state[_REVIEW] = interrupt_id
    defaults: dict[str, Any] = {
        "reviewer": state.get(_NAME, ""),
        "comment": "",
        "edited_diagnosis": _prefilled(report),
        "edited_description": report.description,
        "edited_findings": _lines(report),
        "segment": (0.0, _length(report.video)),
        **{f"drop_{case.id}": False for case in report.similar_cases},
    }
    for key, value in defaults.items():
        if new_review or key not in state:
            state[key] = value


def _corrections(report: CaseReport) -> None:
    """The fields that a person may change."""
    if report.abstained:
        st.text("The agent abstained: write the diagnosis that you want to sign, and save your changes.")
    st.text_input("Diagnosis", key="edited_diagnosis", placeholder=report.diagnosis)
    st.text_area("Description", key="edited_description", height=120)
    st.text_area("Findings, one on each line", key="edited_findings", height=140)
    kept_cases = [case for case in report.similar_cases if case.kept]
    if kept_cases:
        st.markdown("**Similar cases to drop at a revision**")
        for case in kept_cases:
            name = f"{case.diagnosis} ({case.id}, similarity {case.score:.3f})"
            st.checkbox(inert(name), key=f"drop_{case.id}")
    length = _length(report.video)
    if length:
        st.slider(
            "Segment to look at in a revision, in seconds",
            0.0,
            length,
            step=0.1,
            key="segment",
            help=f"The video is {moment(length)} long. Leave the whole range to keep the segment.",
        )


def _decide(shared: Services, report: CaseReport, interrupt_id: str, action: str) -> None:
    """Send the form as the decision at the review that it was drawn for."""
    st.session_state[_NAME] = st.session_state.get("reviewer", "").strip()
    corrections = _corrected(report)
    problem = _problem(action, corrections, st.session_state[_NAME])
    if problem:
        st.session_state[_PROBLEM] = problem
        return
    fields = {} if action in ("accept", "reject") else corrections
    if action == "edit":
        fields = {
            name: value for name, value in fields.items() if name in ("diagnosis", "description", "findings")
        }
    try:
        decision = Decision.model_validate(
            {
                "action": action,
                "reviewer": st.session_state[_NAME],
                "comment": st.session_state.get("comment", "").strip(),
                "interrupt_id": interrupt_id,
                **fields,
            }
        )
        shared.worker.resume(report.case_id, owner(), decision)
    except (VideoPathError, ValueError) as error:
        st.session_state[_PROBLEM] = str(error)
        if shared.library.entry(report.case_id).status == "signed":
            keep_for_addendum(report, "edited_", "reviewer", "comment")


def _corrected(report: CaseReport) -> dict[str, Any]:
    """The differences to the agent's results, as fields of a decision."""
    state = st.session_state
    corrections: dict[str, Any] = {}
    for name, before in (("diagnosis", _prefilled(report)), ("description", report.description)):
        text = state.get(f"edited_{name}", before).strip()
        if text and text != before.strip():
            corrections[name] = text
    lines = [
        line.strip() for line in state.get("edited_findings", _lines(report)).splitlines() if line.strip()
    ]
    if lines != _lines(report).splitlines():
        corrections["findings"] = lines
    dropped = [case.id for case in report.similar_cases if state.get(f"drop_{case.id}")]
    if dropped:
        corrections["drop"] = dropped
    length = _length(report.video)
    segment = state.get("segment", (0.0, length))
    if length and tuple(segment) != (0.0, length):
        corrections["segment"] = {"start": segment[0], "end": segment[1]}
    return corrections


def _problem(action: str, corrections: dict[str, Any], name: str) -> str:
    """Why the form cannot be sent like this; a person's changes are never dropped silently."""
    words = [field for field in ("diagnosis", "description", "findings") if field in corrections]
    revision = [field for field in ("drop", "segment") if field in corrections]
    if not name:
        return "Your name is missing: fill it in."
    if action in ("accept", "reject") and (words or revision):
        changed = ", ".join(corrections)
        return f"You changed {changed}, but “{action}” would drop the changes. Save them, revise with them, or undo them."
    if action == "edit" and not words:
        return "Nothing was changed: change diagnosis, description or findings, or accept the case."
    if action == "edit" and revision:
        return "Dropped cases and another segment only count in a revision: choose “Revise with my changes”."
    if action == "revise" and "diagnosis" in corrections:
        return "In a revision the agent diagnoses again: undo the change of the diagnosis, or save your changes to sign it."
    if action == "revise" and words and "segment" in corrections:
        return "The model will describe the new segment: change only the segment now, and correct its description later."
    if action == "revise" and not (words or revision):
        return "A revision needs a change: change description or findings, drop a case, or choose a segment."
    return ""


def _prefilled(report: CaseReport) -> str:
    """The diagnosis in the new form; empty if the agent abstained, because the person must write it."""
    return "" if report.abstained else report.diagnosis


def _lines(report: CaseReport) -> str:
    return "\n".join(finding.text for finding in report.findings)


def _length(video: VideoFacts | None) -> float:
    """Seconds from which a segment can be chosen; 0 if there is no choice."""
    return (
        round(video.duration, 1)
        if video is not None and video.kind != "image" and video.duration > 0.2
        else 0.0
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _waiting(home: str, case_id: str, updated: str) -> str | None:
    """The id of the review that a case waits for; ``updated`` is the time of the entry's last change."""
    from videopath.agent.cases.library import load_case_library
    from videopath.agent.replay import agent_of, settings_of

    library = load_case_library(Path(home))
    with agent_of(settings_of(library, case_id), library.home) as agent:
        waiting = agent.pending(case_id)
    return waiting.id if waiting else None
