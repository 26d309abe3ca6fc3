"""The state of a case: plain JSON only, so that a checkpoint is small and read back exactly as it was written.

Frames and tensors never enter it: a clip is named by the request that opens it.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, NotRequired, Required

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from videopath.core.errors import InputError

Json = dict[str, Any]
"""A record of ``tools.schemas`` or ``agent.records`` as ``model_dump(mode="json")`` gives it."""


class CaseInput(TypedDict):
    """What a case starts from."""

    video: Required[str]
    site: NotRequired[str | None]
    question: NotRequired[str | None]
    case_id: NotRequired[str]  # none: the thread id
    settings: NotRequired[Json]  # RunSettings; none: those of the agent


def checked_input(given: Any) -> CaseInput:
    """What a case starts from, as a caller of the graph gave it; settings as all of them.

    Raises:
        InputError: A part is missing, or is not what it should be.
    """
    from videopath.agent.cases.records import RunSettings, reason_of

    try:
        found = TypeAdapter(CaseInput).validate_python(given, strict=True)
        if found.get("settings"):
            RunSettings.model_validate(found["settings"])
    except ValidationError as error:
        raise InputError(
            f"The input of the case is not usable: {reason_of(error)}. Give at least video, the path of a file."
        ) from error
    return found


class CheckpointMarks(TypedDict):
    """What LangGraph must find beside a state to go on from it."""

    step: int
    counters_since_delta_snapshot: NotRequired[dict[str, Any]]


class Look(TypedDict):
    """One round from describe to verify."""

    request: Json  # ClipInput: which frames were looked at
    described: Json  # DescribeResult
    blind: Json  # DiagnoseResult before any neighbour was seen
    retrieved: Json  # RetrieveResult
    final: Json  # DiagnoseResult with the neighbours as evidence, fused with the cases' vote
    features: dict[str, float]
    confidence: float
    reasons: list[str]  # why the agent abstains on this look; empty: it does not
    closer: bool  # whether a closer look may settle it
    revision: NotRequired[int]  # how many revisions of a person came before it
    vouchers: NotRequired[list[Json]]  # Voucher: the model, and the similar cases where they voted
    calibrated: NotRequired[bool]  # whether the confidence is a probability
    corrected: NotRequired[bool]  # whether its description is not the one that the blind diagnosis rests on


class CaseState(CaseInput, total=False):
    """Everything that the nodes know; a key is there once its node has finished."""

    created: str  # ISO 8601, UTC
    facts: Json  # VideoFacts of the first clip
    quality: Json  # Quality
    engine: Json  # EngineInfo of the model that described it first: the whole case is its
    knowledge: Json  # hashes of what was searched
    request: Json  # ClipInput of the present look
    described: Json
    blind: Json
    retrieved: Json
    final: Json
    looks: Annotated[list[Look], operator.add]  # finished looks, in order
    steps: Annotated[list[Json], operator.add]  # Step, in order
    review: Annotated[list[Json], operator.add]  # Decision
