"""The review of a waiting or finished case: a person accepts, edits, revises or rejects, and confirms it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from videopath.agent import CaseReport, Decision
from videopath.agent.cases.records import VideoFacts
from videopath.agent.cases.signatures.withdrawal import (
    reject_finished,
    seconds_to_withdraw,
    withdraw_decision,
)
from videopath.agent.report.values import moment
from videopath.app.web.components.case.course.steps import in_words
from videopath.app.web.components.case.decision.signout import keep_for_addendum
from videopath.app.web.components.case.tabs import RECORD, open_tab
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.components.viewer.drafts import annotations_of, chosen_segment, keep_drafts
from videopath.app.web.runtime.people import NAME, login, person, signer
from videopath.app.web.runtime.services import Services, owner
from videopath.core.clock import minute
from videopath.core.errors import CaseError, VideoPathError

_PROBLEM = "review_problem"  # in the session: why a decision was not used
_REVIEW = "review_drawn"  # in the session: the id of the review that the form was filled for
_PENDING = "review_pending"  # in the session: the decision that waits for its confirmation
_UNFOLD = "review_unfold"  # in the session: how often the corrections of this form were opened by a button
_OPEN = ("waiting for review", "done", "abstained")  # the states in which a person can decide
_BUTTONS = (  # action of the decision, key, label, icon
    ("accept", "accept", "Accept", "check_circle"),
    ("edit", "save_edit", "Save my changes", "edit"),
    ("revise", "revise", "Revise with my changes", "redo"),
    ("reject", "reject", "Reject", "thumb_down"),
)
_INTERVAL = 5.0  # seconds between two checks whether somebody else has decided
_COUNTDOWN = 5.0  # seconds between two updates of the time that is left to undo
_ACTIONS = {"accept": "accepted", "edit": "edited", "revise": "revised", "reject": "rejected"}


def refused_decision() -> None:
    """Show why the last decision was not used, whatever the case's state is now."""
    problem = st.session_state.pop(_PROBLEM, "")
    if problem:
        st.error(f"**Your decision was not used.** {inert(problem)}", icon=":material/sync_problem:")


def review(view: CaseView, shared: Services) -> None:
    """Draw the form of a waiting or finished case; its decision counts only for the state that it was drawn for."""
    assert view.report is not None
    report = view.report
    st.fragment(_warn_if_decided, run_every=_INTERVAL)(shared, view.case_id, view.entry.updated)
    waiting = report.status == "waiting for review"
    marker = _waiting(str(shared.home), view.case_id, view.entry.updated) if waiting else _finished(view)
    if marker is None:
        return
    _fill_in(report, marker)
    with st.form("review", border=False):
        with st.expander(
            "Correct diagnosis, description or findings before you sign",
            key="corrections",
            icon=":material/edit_note:",
            type="compact",
        ):
            _corrections(report, waiting=waiting)
        with st.container(horizontal=True, vertical_alignment="bottom", key="decide", gap="small"):
            st.text_input(
                "Your name",
                key="reviewer",
                width=200,
                placeholder="Your name",
                label_visibility="collapsed",
                disabled=bool(login()),
            )
            first = "edit" if report.abstained else "accept"
            for action, key, label, icon in _BUTTONS:
                if action == "revise" and not waiting:
                    continue
                st.form_submit_button(
                    label,
                    key=key,
                    icon=f":material/{icon}:",
                    type="primary" if action == first else "secondary",
                    on_click=_decide,
                    args=(shared, report, marker, view.entry.updated, action),
                )


def open_corrections(diagnosis: str = "") -> None:
    """Unfold the form's corrections when the page is drawn next (a button's ``on_click``).

    Args:
        diagnosis: A draft of the diagnosis; empty keeps what is there.
    """
    st.session_state[_UNFOLD] = st.session_state.get(_UNFOLD, 0) + 1
    if diagnosis:
        st.session_state["edited_diagnosis"] = diagnosis


def times_unfolded() -> int:
    """Return how often a button has opened the corrections in this session."""
    times: int = st.session_state.get(_UNFOLD, 0)
    return times


def confirmation(view: CaseView, shared: Services) -> None:
    """Show the question before a signature or a rejection, if one was asked for."""
    pending = st.session_state.get(_PENDING)
    if pending is None or view.report is None:
        return
    if pending["case_id"] != view.case_id or view.report.status not in _OPEN:
        st.session_state.pop(_PENDING)
        return
    title = "Reject this case?" if pending["action"] == "reject" else "Sign this case?"
    st.dialog(title, on_dismiss=_forget_pending)(_confirm)(view.report, shared, pending)


def _confirm(report: CaseReport, shared: Services, pending: dict[str, Any]) -> None:
    """Name what would be signed and by whom, and ask once more."""
    rejects = pending["action"] == "reject"
    rows = [
        ("diagnosis", pending["fields"].get("diagnosis") or report.diagnosis),
        ("by", pending["reviewer"]),
    ]
    changed = ", ".join(name for name in pending["fields"] if name != "diagnosis")
    rows += [("changed", changed)] if changed else []
    rows += [("comment", pending["comment"])] if pending["comment"] else []
    with st.container(key="sign_or_reject"):
        table(("", "value"), rows)
    if not rejects:
        st.checkbox("I have read description and findings and confirm them", key="sign_confirm")
    with st.container(horizontal=True):
        sent = st.button(
            inert(f"Reject as {pending['reviewer']}" if rejects else f"Sign as {pending['reviewer']}"),
            key="confirm_decision",
            type="primary",
            icon=":material/thumb_down:" if rejects else ":material/verified:",
        )
        if st.button("Back", key="cancel_decision"):
            _forget_pending()
            st.rerun()
    if sent:
        confirmed = not rejects and bool(st.session_state.get("sign_confirm"))
        _forget_pending()
        _send(shared, report, pending, confirmed=confirmed)
        st.rerun()


def _forget_pending() -> None:
    st.session_state.pop(_PENDING, None)


def undo(report: CaseReport, shared: Services) -> None:
    """Offer to withdraw the last decision for a minute, to the person who made it in this browser."""
    left = seconds_to_withdraw(report)
    if left and person() == report.review[-1].reviewer:
        st.fragment(_undo, run_every=_COUNTDOWN)(report, shared)


def _undo(report: CaseReport, shared: Services) -> None:
    left = seconds_to_withdraw(report)
    if not left:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content"):
        is_undone = st.button(
            "Undo",
            key="undo",
            icon=":material/undo:",
            help="The decision is recorded as withdrawn, and the case is open again.",
            on_click=_withdraw,
            args=(report, shared),
        )
        st.caption(f"for {left:.0f} s")
    if is_undone:
        st.rerun()  # the whole page, of which this is a part that is drawn alone


def _withdraw(report: CaseReport, shared: Services) -> None:
    try:
        withdraw_decision(shared.library, report.case_id, signer(person()))
    except VideoPathError as error:
        st.session_state[_PROBLEM] = str(error)


def reviewed(report: CaseReport) -> None:
    """Show the decisions of all reviewers, and their changes."""
    if not report.review:
        return
    with st.container(key="reviewed"):
        st.header("Decisions", anchor=False)
        rows = [
            (
                minute(d.decided),
                d.reviewer or "unnamed",
                _ACTIONS.get(d.action, d.action)
                + (f", withdrawn {minute(d.withdrawn)}" if d.withdrawn else ""),
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


def _finished(view: CaseView) -> str:
    """Return what marks the state of a finished case, so that the form is filled anew when it changes."""
    return f"{view.case_id} {view.entry.updated}"


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
        "reviewer": person(),
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
    if login():
        state["reviewer"] = login()
    if (segment := chosen_segment(report.case_id)) is not None:
        state["segment"] = segment


def _corrections(report: CaseReport, *, waiting: bool) -> None:
    """The fields that a person may change."""
    if report.abstained:
        st.text("The agent abstained: write the diagnosis that you want to sign, and save your changes.")
    first, second, third = st.columns(3)
    with first:
        st.text_input("Diagnosis", key="edited_diagnosis", placeholder=report.diagnosis)
        st.text_area("Comment", key="comment", height=80)
    second.text_area("Description", key="edited_description", height=160)
    third.text_area("Findings, one on each line", key="edited_findings", height=160)
    if waiting:
        _revision(report)


def _revision(report: CaseReport) -> None:
    """What the agent may look at again: other similar cases, another segment."""
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
    st.caption(
        "After Revise the agent continues from your changes and asks you again. The old text is kept with each change."
    )


def _decide(shared: Services, report: CaseReport, marker: str, drawn: str, action: str) -> None:
    """Check the form, then ask before a signature; a revision is sent at once."""
    try:
        st.session_state[NAME] = signer(st.session_state.get("reviewer", ""))
    except CaseError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    corrections = _corrected(report)
    problem = _problem(action, corrections, st.session_state[NAME]) or _nothing_to_sign(
        report, action, corrections
    )
    if problem:
        st.session_state[_PROBLEM] = problem
        return
    fields = {} if action in ("accept", "reject") else corrections
    if action == "edit":
        fields = {
            name: value for name, value in fields.items() if name in ("diagnosis", "description", "findings")
        }
    pending = {
        "action": action,
        "case_id": report.case_id,
        "reviewer": st.session_state[NAME],
        "comment": st.session_state.get("comment", "").strip(),
        "marker": marker,
        "fields": fields,
    }
    decided = shared.library.entry(report.case_id).updated != drawn
    if action == "revise" or decided:  # a late decision is refused with the reason, without a question before
        _send(shared, report, pending, confirmed=False)
    else:
        st.session_state["sign_confirm"] = False
        st.session_state[_PENDING] = pending


def _nothing_to_sign(report: CaseReport, action: str, corrections: dict[str, Any]) -> str:
    if report.abstained and action in ("accept", "edit") and "diagnosis" not in corrections:
        return "The agent abstained: write the diagnosis that you want to sign, and save your changes."
    return ""


def _send(shared: Services, report: CaseReport, pending: dict[str, Any], *, confirmed: bool) -> None:
    """Take the decision: the agent goes on with it, or the finished case is signed or rejected."""
    try:
        pending = pending | {"reviewer": signer(pending["reviewer"])}
        if report.status == "waiting for review":
            decision = Decision.model_validate(
                {
                    "action": pending["action"],
                    "reviewer": pending["reviewer"],
                    "comment": pending["comment"],
                    "interrupt_id": pending["marker"],
                    "confirmed": confirmed,
                    "annotations": annotations_of(report, pending["reviewer"]),
                    **pending["fields"],
                }
            )
            shared.worker.resume(report.case_id, owner(), decision)
        elif pending["action"] == "reject":
            reject_finished(shared.library, report.case_id, pending["reviewer"], pending["comment"])
        else:
            _sign(shared, report, pending, confirmed=confirmed)
    except (VideoPathError, ValueError) as error:
        st.session_state[_PROBLEM] = str(error)
        if shared.library.entry(report.case_id).status == "signed":
            keep_for_addendum(report, "edited_", "reviewer", "comment")
            open_tab(RECORD)
        return
    keep_drafts(report.case_id, [])
    if pending["action"] != "revise":
        open_tab(RECORD)


def _sign(shared: Services, report: CaseReport, pending: dict[str, Any], *, confirmed: bool) -> None:
    fields = pending["fields"]
    shared.library.sign(
        report.case_id,
        pending["reviewer"],
        pending["comment"],
        fields.get("diagnosis"),
        description=fields.get("description", report.description),
        findings=fields.get("findings", _lines(report).splitlines()),
        confirmed=confirmed,
        annotations=annotations_of(report, pending["reviewer"]),
    )


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
