"""Steps: timed while a node works, on disk in the trace before the graph goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from langgraph.runtime import Runtime
from pydantic.json_schema import SkipJsonSchema

from videopath.agent.cases.records import Step
from videopath.agent.cases.trace import append_step, trace_file, trace_lines
from videopath.core.clock import now


@dataclass(frozen=True)
class Progress:
    """What happens between two steps."""

    kind: Literal["started", "activity", "token"]
    step: str
    text: str = ""  # what begins ("loading the model", "writing", …); with ``token`` a piece of the answer
    device: str | None = None


ACTIVITIES = "seconds_by_activity"
"""The key of a step's detail that says how long each of its activities took."""

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class RunContext:
    """What belongs to one run of the graph and not to its case."""

    # Not part of the JSON schema that LangGraph's server shows: no JSON can hold a function.
    on_progress: SkipJsonSchema[OnProgress | None] = (
        None  # called where the node works: what it raises ends the run at once
    )


CaseRuntime = Runtime[RunContext]


@dataclass
class StepDraft:
    """A step while it runs."""

    name: str
    runtime: CaseRuntime
    model: str | None = None  # only where the step asks it
    device: str = "cpu"  # the model's where the step asks it; all else is done by the processor
    started: str = field(default_factory=now)
    begun: float = field(default_factory=time.perf_counter)
    activities: list[tuple[str, float]] = field(default_factory=list)  # what began, and when

    def __post_init__(self) -> None:
        self._tell(Progress("started", self.name))

    def activity(self, text: str) -> None:
        """Tell what begins now."""
        self.activities.append((text, time.perf_counter()))
        self._tell(Progress("activity", self.name, text, self.device))

    def token(self, text: str) -> None:
        """Pass on a piece of the model's answer."""
        self._tell(Progress("token", self.name, text, self.device))

    def done(self, summary: str, detail: dict[str, Any], **fields: Any) -> Step:
        """The finished step; ``fields`` are those of ``Step``. Its detail says how long each activity took."""
        end = time.perf_counter()
        if spent := self._seconds_by_activity(end):
            detail = {**detail, ACTIVITIES: spent}
        return Step(
            name=self.name,
            summary=summary,
            detail=detail,
            started=self.started,
            seconds=round(end - self.begun, 3),
            device=self.device,
            model=self.model,
            **fields,
        )

    def _seconds_by_activity(self, end: float) -> dict[str, float]:
        """Seconds by activity, in the order in which each first began; one lasts until the next begins."""
        spent: dict[str, float] = {}
        ends = [*(begun for _, begun in self.activities), end][1:]
        for (text, begun), until in zip(self.activities, ends, strict=True):
            spent[text] = round(spent.get(text, 0.0) + until - begun, 3)
        return spent

    def _tell(self, progress: Progress) -> None:
        """To the listener of this run, and to LangGraph's own stream for those who use the graph by itself."""
        self.runtime.stream_writer(asdict(progress))
        context = self.runtime.context
        if context and context.on_progress:
            context.on_progress(progress)


def record_step(trace: Path, position: int, step: Step) -> None:
    """Write the step as line ``position`` of the trace.

    A node that was killed after this and before its checkpoint runs again: its earlier line gives way.
    """
    lines = trace_lines(trace)
    if len(lines) > position:
        trace_file(trace).replace(lines[:position])
    append_step(trace, step)
