"""Follow-up questions: asked about a finished case, answered on the clip that its report shows."""

from __future__ import annotations

import time

from videopath.agent.cases.records import CaseReport, FollowUp
from videopath.agent.decision.fits_question import why_not_answered
from videopath.agent.policy import Policy
from videopath.core.clock import now
from videopath.core.errors import CaseError
from videopath.model.inference.engine import EngineInfo
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.model.prompts.template import without_marks
from videopath.tools.schemas import ClipInput
from videopath.tools.session_pool import ClipSession, Recording


def ask_about(report: CaseReport, question: str, recording: Recording) -> FollowUp:
    """Ask the case's model a question about the frames that the report rests on.

    Args:
        report: The report of the case.
        question: A person's question, checked.
        recording: The sessions of the case's model, without a journal: an answer is not part of the case's work.

    Raises:
        CaseError: The report does not say which frames it rests on.
        EngineError: The model fails.
        InputError: The video is gone or was replaced, or the question is too long for the model.
    """
    session, asked = recording.open(reported_request(report)), now()
    prompt = session.prompts.ask(_facts(report, question, session))
    started = time.perf_counter()
    answer = session.generate(prompt, max_new_tokens=_answer_tokens(report))
    call = session.call(prompt, time.perf_counter() - started)
    info, text = recording.info, without_marks(answer.text).strip()
    why_not = _why_not(report, question, text, info)
    return FollowUp(
        question=question,
        answer=text,
        answered=not why_not,
        why_not=why_not,
        model=info.name,
        weights=info.weights_sha256,
        device=info.device,
        address=info.address,
        prompt_sha256=call.prompt_sha256,
        seconds=call.seconds,
        stopped=answer.stopped,
        asked=asked,
        frames=session.frames().indices,
    )


def reported_request(report: CaseReport) -> ClipInput:
    """Return the clip of the look that a report rests on.

    Raises:
        CaseError: The trace in the report has no finished look.
    """
    requests: list[ClipInput] = []
    latest: ClipInput | None = None
    for step in report.steps:
        if step.name == "diagnose":
            latest = ClipInput.stored(step.detail["request"])
        elif step.name == "verify" and latest is not None:
            requests.append(latest)
    if not requests:
        raise CaseError(f"The report of case {report.case_id} does not say which frames it rests on.")
    reported = [number for number, look in enumerate(report.looks) if look.reported]
    return requests[reported[0]] if reported and reported[0] < len(requests) else requests[-1]


def refuse_other_model(report: CaseReport, info: EngineInfo) -> None:
    """Raise ``CaseError`` if the model is not the one that diagnosed the case."""
    weights = report.provenance.get("weights")
    if weights and weights != info.weights_sha256:
        raise CaseError(
            f"Case {report.case_id} was diagnosed by {report.model} ({weights[:12]}…), not by {info.name} "
            f"({info.weights_sha256[:12]}…): ask with that model."
        )


def _facts(report: CaseReport, question: str, session: ClipSession) -> PromptFacts:
    """Return what the prompt may say; a diagnosis that the agent does not sign out is left out."""
    return PromptFacts(
        site=report.site,
        question=question,
        seconds=session.frames().seconds,
        description=report.description,
        diagnosis="" if report.abstained and not report.has_persons_diagnosis else report.diagnosis,
    )


def _answer_tokens(report: CaseReport) -> int:
    return int(report.settings.policy.get("description_tokens", Policy().description_tokens))


def _why_not(report: CaseReport, question: str, answer: str, info: EngineInfo) -> str:
    labels = [report.diagnosis, report.blind_diagnosis, *(one.label for one in report.differential)]
    listed = [label for of_site in info.card.labels.values() for label in of_site]
    return why_not_answered(
        question,
        answer,
        description=report.description,
        unknown_label=info.card.unknown_label,
        diagnoses=[label for label in (*labels, *listed) if label],
    )
