"""What a person's decision changes: checked against the look it answers, kept as a difference, never overwritten.

A look stays in the state as it was. A revision begins the next look from the one that the person saw, with their
words, without the cases they dropped, or on the segment they chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

from pydantic import ValidationError

from videopath.agent.cases.records import Decision, VideoFacts, reason_of
from videopath.agent.decision.not_known import says_not_known
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.agent.graph.state import Json, Look
from videopath.core.errors import CaseError
from videopath.tools.describe import split_sentences
from videopath.tools.schemas import (
    DescribeResult,
    FramesSeen,
    LocatedFinding,
    Neighbour,
    RetrieveResult,
)


def read_decision(answer: Any) -> Decision:
    """A decision from its fields. Raises ``CaseError`` where they do not make one."""
    try:
        return Decision.model_validate(answer)
    except ValidationError as error:
        raise CaseError(f"The decision is not usable: {reason_of(error)}.") from error


def checked_decision(answer: Any, look: Look, facts: Json, unknown_label: str | None = None) -> Decision:
    """The decision on a look, with what it changes. Raises ``CaseError`` for one that cannot be carried out.

    ``unknown_label``: what the model says of tissue that it does not know; nobody signs that as a diagnosis.
    """
    decision = read_decision(answer).model_copy()
    decision.changes = changes_of(decision, look)
    if decision.action in ("accept", "edit"):
        refuse_without_diagnosis(
            decision.diagnosis,
            look["final"]["label"],
            abstained=bool(look["reasons"]),
            unknown_label=unknown_label,
        )
    if decision.action == "revise":
        _refuse_unusable(decision, look, VideoFacts.model_validate(facts))
    return decision


def refuse_without_diagnosis(
    typed: str | None, agents: str, *, abstained: bool, unknown_label: str | None
) -> None:
    """Raise ``CaseError`` where what would be signed is not a diagnosis: one rule for all ways to sign.

    Where the agent abstained or has no diagnosis (``agents``), the person writes it (``typed``).
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


def changes_of(decision: Decision, look: Look) -> Json:
    """Each field that is not as it was, from and to: diagnosis, description, findings, similar_cases, segment."""
    described = DescribeResult.model_validate(look["described"])
    corrected = corrected_description(decision, described)
    retrieved = RetrieveResult.model_validate(look["retrieved"])
    left = [neighbour.id for neighbour in retrieved.kept if neighbour.id not in decision.drop]
    request, segment = look["request"], decision.segment
    before_and_after: dict[str, tuple[Any, Any]] = {
        "diagnosis": (look["final"]["label"], decision.diagnosis or look["final"]["label"]),
        "description": (described.description, corrected.description),
        "findings": ([f.text for f in described.findings], [f.text for f in corrected.findings]),
        "similar_cases": ([neighbour.id for neighbour in retrieved.kept], left),
    }
    if segment is not None:
        before_and_after["segment"] = ([request["start"], request["end"]], [segment.start, segment.end])
    return {
        name: {"from": before, "to": after}
        for name, (before, after) in before_and_after.items()
        if before != after
    }


def corrected_description(decision: Decision, described: DescribeResult) -> DescribeResult:
    """The description with the reviewer's words in place of the model's; the same where they gave none.

    Findings without a description are joined to one; a description without findings is split into them.
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


def words_of_model(steps: Sequence[Json]) -> set[str]:
    """Every finding that the model itself wrote in these steps."""
    described = (step["detail"]["result"] for step in steps if step["name"] == "describe")
    return {finding["text"] for result in described for finding in result["findings"]}


def described_for_blind(steps: Sequence[Json]) -> str:
    """The description that the last blind diagnosis rests on: it never sees a reviewer's words."""
    asked = [step["detail"]["description"] for step in steps if step["name"] == "diagnose_blind"]
    return asked[-1]


def revised(decision: Decision, look: Look) -> Json:
    """What the next look begins with: an update of the case's state."""
    request = look["request"]
    if decision.segment is not None:
        segment = {"start": decision.segment.start, "end": decision.segment.end}
        request = {**request, **segment, "crop": None, "sampling": "uniform"}
    described = DescribeResult.model_validate(look["described"])
    retrieved = RetrieveResult.model_validate(look["retrieved"])
    return {
        "request": request,
        "described": corrected_description(decision, described).model_dump(mode="json"),
        "blind": look["blind"],
        "retrieved": without_dropped(retrieved, [decision]).model_dump(mode="json"),
    }


def without_dropped(retrieved: RetrieveResult, decisions: Iterable[Decision]) -> RetrieveResult:
    """The similar cases, without as evidence those that a person dropped; they stay listed with the reason."""
    dropped = {name: _by(decision) for decision in decisions for name in decision.drop}
    neighbours = [
        _dropped(neighbour, dropped[neighbour.id]) if neighbour.id in dropped else neighbour
        for neighbour in retrieved.neighbours
    ]
    return retrieved.model_copy(update={"neighbours": neighbours})


def decisions_of(review: Sequence[Json]) -> list[Decision]:
    """The decisions in a case's state, in order."""
    return [Decision.model_validate(answer) for answer in review]


def _dropped(neighbour: Neighbour, by: str) -> Neighbour:
    return (
        neighbour.model_copy(update={"kept": False, "why": f"dropped by {by}"})
        if neighbour.kept
        else neighbour
    )


def _by(decision: Decision) -> str:
    return decision.reviewer or "the reviewer"


def _moment_of(text: str, findings: Sequence[LocatedFinding], frames: FramesSeen) -> LocatedFinding:
    """A reviewer's finding at the moment of the model's that is most alike; in the middle where there is none."""
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


def _refuse_unusable(decision: Decision, look: Look, facts: VideoFacts) -> None:
    shown = [neighbour["id"] for neighbour in look["retrieved"]["neighbours"]]
    foreign = [name for name in decision.drop if name not in shown]
    if foreign:
        raise CaseError(
            f"{foreign[0]!r} is none of the case's similar cases; it has {', '.join(shown) or 'none'}."
        )
    changes = set(decision.changes)
    if not changes:
        raise CaseError("The revision changes nothing: accept the case, or say what is to be different.")
    if decision.segment is None:
        return
    if changes & {"description", "findings"}:
        raise CaseError(
            "Another segment is described anew by the model: choose it without a description of your own, "
            "and correct what comes of it."
        )
    if facts.kind == "image":
        raise CaseError("An image has no segments to choose from.")
    if decision.segment.start >= facts.duration:
        raise CaseError(
            f"The segment begins at {decision.segment.start:g} s; the video ends at {facts.duration:.6g} s."
        )
