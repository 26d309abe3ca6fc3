"""The graph's nodes as pieces of work: each run of one is a span, a figure and a line in the log."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from langgraph.errors import GraphBubbleUp

from videopath.agent.graph.state import Json
from videopath.agent.graph.steps import CaseRuntime
from videopath.core.telemetry import Work, span

Node = TypeVar("Node", bound=Callable[..., Json])


def observed(node: Node) -> Node:
    """Return the node as a piece of work that has its name."""

    @wraps(node)
    def run(state: Any, runtime: CaseRuntime) -> Json:
        with span("step", case_id=state.get("case_id", ""), step=node.__name__) as work:
            try:
                update = node(state, runtime)
            except GraphBubbleUp:  # the review asks a person
                work.waits = True
                raise
            _note(work, update)
        return update

    return cast(Node, run)


def _note(work: Work, update: Json) -> None:
    """Note what the step says about itself."""
    for step in update.get("steps", [])[-1:]:
        work.note(device=step["device"])
        if step["model"]:
            work.note(model=step["model"])
    if update.get("case_id"):
        work.note(case_id=update["case_id"])
