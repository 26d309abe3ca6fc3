"""A person's decision: checked against the look that it answers, and turned into the next look.

A look stays in the state as it was. A revision begins the next look from the one that the person saw: with their
words, without the cases that they dropped, or on the segment that they chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

from pydantic import ValidationError

from videopath.agent.cases.records import Decision, VideoFacts, reason_of
from videopath.agent.decision.not_known import says_not_known
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.agent.graph.state import Json
from videopath.agent.graph.view import LookView
from videopath.core.errors import CaseError
from videopath.media.crop import Crop
from videopath.tools.describe import split_sentences
from videopath.tools.schemas import (
    DescribeResult,
    FramesSeen,
    LocatedFinding,
    Neighbour,
    RetrieveResult,
)


def read_decision(answer: Any) -> Decision:
    """Return a decision from its fields.

    Raises:
        CaseError: The fields do not make a decision.
    """
    try:
        return Decision.model_validate(answer)
    except ValidationError as error:
        raise CaseError(f"The decision is not usable: {reason_of(error)}.") from error


def checked_decision(
    answer: Any, look: LookView, facts: VideoFacts, unknown_label: str | None = None
) -> Decision:
    """Return the decision on a look, with its ``changes`` filled in.

    Args:
        answer: The decision or its fields.
        look: The look that the person saw.
        facts: The source; a revision may choose a segment of it.
        unknown_label: What the model says of tissue that it does not know. It cannot be signed as a diagnosis.

    Raises:
        CaseError: The decision cannot be carried out.
    """
    decision = read_decision(answer).model_copy()
    decision.changes = changes_of(decision, look)
    if decision.action in ("accept", "edit"):
        refuse_without_diagnosis(
            decision.diagnosis,
            look.label,
            abstained=bool(look.reasons),
            unknown_label=unknown_label,
        )
    if decision.action == "revise":
        _refuse_unusable(decision, look, facts)
    return decision


def refuse_without_diagnosis(
    typed: str | None, agents: str, *, abstained: bool, unknown_label: str | None
) -> None:
    """Raise ``CaseError`` if the label that would be signed is not a diagnosis. All ways to sign use this rule.

    Args:
        typed: The person's diagnosis, if they wrote one.
        agents: The agent's label. If it is no diagnosis, or the agent abstained, the person must write one.
        abstained: Whether the agent abstained.
        unknown_label: What the model says of tissue that it does not know.
    """
    written = (typed or "").strip()
    if not written and abstained:
        raise CaseError(
            f"The agent abstained on this case ({agents or 'no diagnosis'}): give the diagnosis that you sign, "
            "or reject the case."
        )
    label = written or agents
    if is_no_diagnosis(label, unknown_label) or says_not_known(label, unknown_label):
        raise CaseError(
            f"This is not a diagnosis: {label or 'none'}; give the diagnosis that you sign, or reject the case."
            if written
            else f"The agent has no diagnosis for this case ({label or 'none'}): give the diagnosis that you sign, "
            "or reject the case."
        )


def changes_of(decision: Decision, look: LookView) -> Json:
    """Return each field that a decision changes as ``{"from": …, "to": …}``.

    The fields are diagnosis, description, findings, similar_cases, segment and annotations.
    """
    described = look.described
    corrected = corrected_description(decision, described)
    evidence = [neighbour.id for neighbour in look.retrieved.kept]
    before_and_after: dict[str, tuple[Any, Any]] = {
        "diagnosis": (look.label, decision.diagnosis or look.label),
        "description": (described.description, corrected.description),
        "findings": ([f.text for f in described.findings], [f.text for f in corrected.findings]),
        "similar_cases": (evidence, [name for name in evidence if name not in decision.drop]),
    }
    if (segment := decision.segment) is not None:
        before_and_after["segment"] = (
            [look.request.start, look.request.end],
            [segment.start, segment.end],
        )
    if decision.annotations:
        before_and_after["annotations"] = ([], [annotation.sentence for annotation in decision.annotations])
    return {
        name: {"from": before, "to": after}
        for name, (before, after) in before_and_after.items()
        if before != after
    }


def corrected_description(decision: Decision, described: DescribeResult) -> DescribeResult:
    """Return the description with the reviewer's words in place of the model's.

    Findings without a description are joined to one; a description without findings is split into findings. If the
    decision has neither, ``described`` is returned.
    """
    words, findings = decision.description, decision.findings
    if words is None and findings is None:
        return described
    text = " ".join(findings or []) if words is None else words.strip()
    texts = split_sentences(text) if findings is None else findings
    if text == described.description and texts == [finding.text for finding in described.findings]:
        return described
    moved = [_moment_of(finding, described.findings, described.frames) for finding in texts]
    return described.model_copy(update={"description": text, "findings": moved})


def revision_update(decision: Decision, look: LookView, crop: Crop | None = None) -> Json:
    """Return the update of the state with which the next look begins.

    Args:
        decision: The revision.
        look: The look that was reviewed.
        crop: The part of the frame that the case looks at; another segment begins with it, not with a closer look's.
    """
    request = look.data["request"]
    if decision.segment is not None:
        segment = {"start": decision.segment.start, "end": decision.segment.end}
        request = {**request, **segment, "crop": None if crop is None else list(crop), "sampling": "uniform"}
    return {
        "request": request,
        "described": corrected_description(decision, look.described).model_dump(mode="json"),
        "blind": look.data["blind"],
        "retrieved": without_dropped(look.retrieved, [decision]).model_dump(mode="json"),
    }


def without_dropped(retrieved: RetrieveResult, decisions: Iterable[Decision]) -> RetrieveResult:
    """Return the similar cases; those that a person dropped are no longer evidence and say who dropped them."""
    dropped = {name: decision.reviewer or "the reviewer" for decision in decisions for name in decision.drop}
    neighbours = [
        _dropped(neighbour, dropped[neighbour.id]) if neighbour.id in dropped else neighbour
        for neighbour in retrieved.neighbours
    ]
    return retrieved.model_copy(update={"neighbours": neighbours})


def _dropped(neighbour: Neighbour, by: str) -> Neighbour:
    return (
        neighbour.model_copy(update={"kept": False, "why": f"dropped by {by}"})
        if neighbour.kept
        else neighbour
    )


def _moment_of(text: str, findings: Sequence[LocatedFinding], frames: FramesSeen) -> LocatedFinding:
    """Place a reviewer's finding at the moment of the model's most similar finding, else in the middle."""
    if findings:
        nearest = max(findings, key=lambda f: SequenceMatcher(None, text, f.text, autojunk=False).ratio())
        contrast = nearest.contrast if nearest.text == text else 0.0
        return nearest.model_copy(update={"text": text, "contrast": contrast})
    middle = len(frames.indices) // 2
    return LocatedFinding(
        text=text,
        seconds=frames.seconds[middle],
        frame=frames.indices[middle],
        position=middle,
        contrast=0.0,
    )


def _refuse_unusable(decision: Decision, look: LookView, facts: VideoFacts) -> None:
    similar = [neighbour.id for neighbour in look.retrieved.neighbours]
    unknown = [name for name in decision.drop if name not in similar]
    if unknown:
        raise CaseError(
            f"{unknown[0]!r} is not among the case's similar cases: {', '.join(similar) or 'it has none'}."
        )
    changes = set(decision.changes)
    if not changes:
        raise CaseError("The revision changes nothing: accept the case, or change something.")
    if decision.segment is None:
        return
    if changes & {"description", "findings"}:
        raise CaseError(
            "The model describes another segment itself: choose the segment without a description of your own, "
            "and correct the description afterwards."
        )
    if facts.kind == "image":
        raise CaseError("An image has no segments: revise its description, findings or similar cases.")
    if decision.segment.start >= facts.duration:
        raise CaseError(
            f"The segment begins at {decision.segment.start:g} s; the video ends at {facts.duration:.6g} s."
        )
