"""Steps: timed while a node works, and written to the trace before the graph continues."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from langgraph.runtime import Runtime
from pydantic.json_schema import SkipJsonSchema

from videopath.agent.cases.records import Step
from videopath.agent.cases.trace import append_step, read_trace, trace_file, trace_lines
from videopath.core.clock import now


@dataclass(frozen=True)
class Progress:
    """What happens between two steps."""

    kind: Literal["started", "activity", "token"]
    step: str
    text: str = ""  # what begins ("loading the model", "writing", …); with ``token`` a piece of the answer
    device: str | None = None


ACTIVITIES = "seconds_by_activity"
"""The key of a step's detail with the seconds of each activity."""

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class RunContext:
    """What belongs to one run of the graph, not to its case."""

    on_progress: SkipJsonSchema[OnProgress | None] = None
    """Called by the nodes; an exception from it ends the run at once.

    It is left out of the JSON schema of LangGraph's server, since JSON cannot hold a function.
    """


CaseRuntime = Runtime[RunContext]


@dataclass
class StepDraft:
    """A step while it runs."""

    name: str
    runtime: CaseRuntime
    model: str | None = None  # None if the step does not ask the model
    device: str = "cpu"  # the model's, if the step asks it
    started: str = field(default_factory=now)
    clock_start: float = field(default_factory=time.perf_counter)
    activities: list[tuple[str, float]] = field(default_factory=list)  # the text and the start of each

    def __post_init__(self) -> None:
        self._announce(Progress("started", self.name))

    def activity(self, text: str) -> None:
        """Announce an activity that begins now, such as "writing"."""
        self.activities.append((text, time.perf_counter()))
        self._announce(Progress("activity", self.name, text, self.device))

    def token(self, text: str) -> None:
        """Announce a piece of the model's answer."""
        self._announce(Progress("token", self.name, text, self.device))

    def done(self, summary: str, detail: dict[str, Any], **fields: Any) -> Step:
        """Return the finished step.

        Args:
            summary: The outcome in a few words.
            detail: Input and output; the seconds of each activity are added.
            fields: Further fields of :class:`Step`.
        """
        end = time.perf_counter()
        if spent := self._seconds_by_activity(end):
            detail = {**detail, ACTIVITIES: spent}
        return Step(
            name=self.name,
            summary=summary,
            detail=detail,
            started=self.started,
            seconds=round(end - self.clock_start, 3),
            device=self.device,
            model=self.model,
            **fields,
        )

    def _seconds_by_activity(self, end: float) -> dict[str, float]:
        """Return the seconds of each activity, in order of their first start; one lasts until the next begins."""
        spent: dict[str, float] = {}
        ends = [*(start for _, start in self.activities), end][1:]
        for (text, start), stop in zip(self.activities, ends, strict=True):
            spent[text] = round(spent.get(text, 0.0) + stop - start, 3)
        return spent

    def _announce(self, progress: Progress) -> None:
        """Send progress to the listener of this run, and to LangGraph's stream for users of the graph alone."""
        self.runtime.stream_writer(asdict(progress))
        context = self.runtime.context
        if context and context.on_progress:
            context.on_progress(progress)


def record_step(trace: Path, position: int, step: Step) -> Step:
    """Write a step to the trace, and return the step as it stands there.

    If a node was killed between this and its checkpoint, it runs again, with the model's answers from the journal. What
    it wrote before stays if only the times differ; otherwise the new line replaces the old one.

    Args:
        trace: The trace file.
        position: The number of the line, from 0.
        step: The step.
    """
    lines = trace_lines(trace)
    if len(lines) == position + 1:
        before = read_trace(trace)[position]
        if _without_times(before) == _without_times(step):
            return before
    if len(lines) > position:
        trace_file(trace).replace(lines[:position])
    append_step(trace, step)
    return step


def _without_times(step: Step) -> Any:
    return _without(step.model_dump(mode="json"), {"started", "seconds", ACTIVITIES})


def _without(value: Any, keys: set[str]) -> Any:
    """Return a JSON value without these keys, wherever they stand."""
    if isinstance(value, dict):
        return {key: _without(part, keys) for key, part in value.items() if key not in keys}
    return [_without(part, keys) for part in value] if isinstance(value, list) else value
