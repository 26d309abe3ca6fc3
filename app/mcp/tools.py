"""The tools of the MCP server, with the words that an assistant reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from anyio import to_thread
from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from videopath.agent.cases.request import CaseRequest
from videopath.app.cli.errors import os_sentence
from videopath.app.mcp.calls import ModelCalls
from videopath.app.mcp.results import (
    CaseAnswer,
    CaseList,
    CaseOutcome,
    CaseText,
    SimilarCases,
    TissueDescription,
    TissueDiagnosis,
)
from videopath.app.mcp.service import Check, TissueService
from videopath.core.choices import MAX_FRAMES, DisplayedStatus
from videopath.core.errors import InputError, VideoPathError
from videopath.tools.schemas import ClipInput

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from videopath.agent import Step

Value = TypeVar("Value")

Video = Annotated[
    str,
    Field(
        description="path of a video, an image or a folder of frames; a relative path is looked for in the allowed folders"
    ),
]
Site = Annotated[
    str | None, Field(description="organ that the tissue comes from, such as colon; do not guess it")
]
Frames = Annotated[
    int | None,
    Field(ge=1, le=MAX_FRAMES, description="how many frames are looked at; default: the model's own"),
]
Start = Annotated[
    float | None, Field(ge=0, description="first second of the segment; default: the beginning")
]
End = Annotated[float | None, Field(gt=0, description="last second of the segment; default: the end")]
CaseId = Annotated[str, Field(description="id of a case, as list_cases gives it")]
Exclude = Annotated[
    list[str] | None,
    Field(description="patients, slides, groups or sources whose records may not be used"),
]
Limit = Annotated[int, Field(ge=1, le=100, description="how many are listed")]

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)


def add_tools(server: MCPServer, service: TissueService, calls: ModelCalls) -> None:
    """Add the tools of a service to a server."""

    async def ask_model(work: Callable[[Check], Value]) -> Value:
        with _one_sentence():
            return await calls.run(work)

    @server.tool(title="Describe tissue", annotations=_READS)
    async def describe_tissue(
        video: Video, site: Site = None, frames: Frames = None, start: Start = None, end: End = None
    ) -> TissueDescription:
        """Describe what a histology or cytology video or image shows, without a diagnosis.

        Only findings with rests_on "measured" or "seen" were verified on a frame. Do not conclude a diagnosis from it.
        """
        clip = _clip(video, frames, start, end)
        return await ask_model(lambda check: service.describe(clip, site, check))

    @server.tool(title="Retrieve similar cases", annotations=_READS)
    async def retrieve_similar_cases(
        description: Annotated[
            str, Field(description="histological findings; may be empty with a video")
        ] = "",
        video: Annotated[str | None, Field(description="also search by the pictures of this video")] = None,
        site: Site = None,
        exclude: Exclude = None,
        limit: Limit = 5,
        frames: Frames = None,
        start: Start = None,
        end: End = None,
    ) -> SimilarCases:
        """Find described and diagnosed records that are most like a description or a video.

        Their diagnoses are those of other cases, and a similarity is no probability. Exclude the records of the same
        patient.
        """
        clip = None if video is None else _clip(video, frames, start, end)
        return await ask_model(
            lambda check: service.retrieve(description, clip, site, exclude or (), limit, check)
        )

    @server.tool(title="Diagnose tissue, one answer", annotations=_READS)
    async def diagnose_tissue(
        video: Video,
        description: Annotated[str, Field(description="the findings, as describe_tissue gave them")],
        site: Site = None,
        question: Annotated[str | None, Field(description="default: what the best diagnosis is")] = None,
        similar_cases: Annotated[
            list[str] | None,
            Field(description="ids from retrieve_similar_cases that count as evidence, best first"),
        ] = None,
        frames: Frames = None,
        start: Start = None,
        end: End = None,
    ) -> TissueDiagnosis:
        """Ask the model once for a label and its alternatives. This is an experiment, not the diagnosis of a case.

        Nobody vouches for the label and its probabilities are not calibrated: never report it as a diagnosis. For a
        diagnosis, or to learn that there is none, call diagnose_case.
        """
        clip = _clip(video, frames, start, end)
        return await ask_model(
            lambda check: service.diagnose(clip, description, site, question, similar_cases or (), check)
        )

    @server.tool(title="Diagnose a case", annotations=_ADDS)
    async def diagnose_case(
        ctx: Context[Any, Any],
        video: Annotated[
            str | None,
            Field(
                description="path of a video, an image or a folder of frames; leave it out to resume a case by its id"
            ),
        ] = None,
        site: Site = None,
        question: Annotated[str | None, Field(description="default: what the best diagnosis is")] = None,
        start: Start = None,
        end: End = None,
        exclude: Exclude = None,
        case_id: Annotated[
            str | None,
            Field(
                description="id of a case that was stopped, to resume it; or an id of yours for a new one. Letters, digits, "
                "'-' and '_'"
            ),
        ] = None,
    ) -> CaseOutcome:
        """Work on a case step by step, keep it, and give its outcome. It takes minutes, and sends progress for each step.

        If `diagnosis` is null, there is none: say so, and do not name the most likely label as a diagnosis. If the call is
        cancelled, call again with the case's id (the first progress message has it); no finished step is repeated.
        """
        with _one_sentence():
            chosen = service.new_case_id(case_id)
            if video is None and case_id is None:
                raise InputError("Give a video, or the id of a case to resume.")
            request = None
            if video is not None:
                request = CaseRequest(
                    video, question, site, start, end, exclude=exclude or (), case_id=chosen
                )
            await ctx.report_progress(0, message=f"Case {chosen}")
            count = 0

            def on_step(step: Step) -> None:
                nonlocal count
                count += 1
                calls.send(lambda: ctx.report_progress(count, message=f"{step.name}: {step.summary}"))

            return await calls.run(lambda check: service.diagnose_case(request, chosen, on_step, check))

    @server.tool(title="Ask about a case", annotations=_ADDS)
    async def ask_case(
        case_id: CaseId,
        question: Annotated[
            str, Field(description="a question about what the frames show, at most 2,000 characters")
        ],
    ) -> CaseAnswer:
        """Ask the model about a case that has a report. The answer is kept beside the report.

        It is never part of the diagnosis and nobody has verified it. If `answered` is false, do not repeat it.
        """
        return await ask_model(lambda check: service.ask(case_id, question, check))

    @server.tool(title="List cases", annotations=_READS)
    async def list_cases(
        state: Annotated[DisplayedStatus | None, Field(description="only cases in this state")] = None,
        site: Site = None,
        limit: Limit = 20,
    ) -> CaseList:
        """List the cases of the library, newest first. An interrupted case can be resumed with diagnose_case."""
        with _one_sentence():
            return await to_thread.run_sync(lambda: service.cases(state, site, limit))

    @server.tool(title="Get a report", annotations=_READS)
    async def get_report(case_id: CaseId) -> CaseText:
        """Get the outcome of a case with its report, and the addresses and hashes of its files.

        If `diagnosis` is null there is none. Only a person signs a report; no tool of this server does.
        """
        with _one_sentence():
            return await to_thread.run_sync(lambda: service.report(case_id))


def _clip(video: str, frames: int | None, start: float | None, end: float | None) -> ClipInput:
    if start is not None and end is not None and end <= start:
        raise ToolError(f"The end ({end:g} s) must be after the start ({start:g} s).")
    return ClipInput(video=video, frames=frames, start=start, end=end)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn known errors into the sentence that the caller gets."""
    try:
        yield
    except VideoPathError as error:
        raise ToolError(str(error)) from error
    except OSError as error:
        raise ToolError(os_sentence(error)) from error
    except sqlite3.Error as error:
        raise ToolError(
            f"The case library cannot be used ({error}). Free disk space, then call again."
        ) from error
