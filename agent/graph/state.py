"""The state of a case: plain JSON only, so that checkpoints are small and are read exactly as they were written.

It never holds frames or tensors: a clip is named by the request that opens it.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, NotRequired, Required

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from videopath.core.errors import InputError

Json = dict[str, Any]
"""A record of ``tools.schemas`` or ``agent.cases.records``, from ``model_dump(mode="json")``."""


class CaseInput(TypedDict):
    """The inputs of the graph."""

    video: Required[str]
    site: NotRequired[str | None]
    question: NotRequired[str | None]
    case_id: NotRequired[str]  # default: the thread id
    settings: NotRequired[Json]  # RunSettings; default: those of the agent


def checked_input(value: Any) -> CaseInput:
    """Return the inputs that a caller gave the graph.

    Raises:
        InputError: A part is missing or has the wrong type.
    """
    from videopath.agent.cases.records import RunSettings, reason_of

    try:
        inputs = TypeAdapter(CaseInput).validate_python(value, strict=True)
        if inputs.get("settings"):
            RunSettings.model_validate(inputs["settings"])
    except ValidationError as error:
        raise InputError(
            f"The input of the case is not usable: {reason_of(error)}. Give at least video, the path of a file."
        ) from error
    return inputs


class CheckpointMarks(TypedDict):
    """What LangGraph needs beside a state to continue from it."""

    step: int
    counters_since_delta_snapshot: NotRequired[dict[str, Any]]


class Look(TypedDict):
    """One round from describe to verify."""

    request: Json  # ClipInput: which frames were looked at
    described: Json  # DescribeResult
    blind: Json  # DiagnoseResult without similar cases
    retrieved: Json  # RetrieveResult
    final: Json  # DiagnoseResult with similar cases as evidence, fused with their vote
    features: dict[str, float]
    confidence: float
    reasons: list[str]  # why the agent abstains on this look; empty if it does not
    closer: bool  # whether a closer look may settle it
    revision: NotRequired[int]  # number of revisions before it
    vouchers: NotRequired[list[Json]]  # Voucher: the model, and the similar cases if they voted
    calibrated: NotRequired[bool]  # whether the confidence is a probability
    corrected: NotRequired[bool]  # whether its description differs from that of the blind diagnosis
    second: NotRequired[Json]  # SecondOpinion, if the case asks for one


class CaseState(CaseInput, total=False):
    """The state of the graph; a key is there once its node has finished."""

    created: str  # ISO 8601, UTC
    facts: Json  # VideoFacts of the first clip
    quality: Json  # Quality
    engine: Json  # EngineInfo of the model that the case was started with
    knowledge: Json  # hashes of the knowledge base
    request: Json  # ClipInput of the present look
    described: Json
    blind: Json
    retrieved: Json
    final: Json
    second: Json  # SecondOpinion on the present look; missing if the case asks for none
    looks: Annotated[list[Look], operator.add]  # finished looks, in order
    steps: Annotated[list[Json], operator.add]  # Step, in order
    review: Annotated[list[Json], operator.add]  # Decision
