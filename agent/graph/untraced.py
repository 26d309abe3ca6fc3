"""A compiled graph that never sends traces to LangSmith."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.graph.state import CompiledStateGraph

from videopath.agent.graph.state import CaseInput, CaseState
from videopath.agent.graph.steps import RunContext
from videopath.tools.untraced import tracing_allowed, untraced, without_tracers


class UntracedGraph(CompiledStateGraph[CaseState, RunContext, CaseInput, CaseState]):
    """A graph without tracing.

    Every run of a graph is a ``stream`` or an ``astream``; every change from outside is a ``bulk_update_state``. Tracing
    is on again between two updates, so the caller's own code is traced as before.
    """

    _traced = False

    @classmethod
    def of(cls, graph: CompiledStateGraph[CaseState, RunContext, CaseInput, CaseState]) -> Self:
        """Return the same graph without tracing."""
        untraced_graph = cls.__new__(cls)
        untraced_graph.__dict__.update(vars(graph))
        untraced_graph._traced = tracing_allowed()  # read here: an event loop must not wait for a file
        return untraced_graph

    def copy(self, update: dict[str, Any] | None = None) -> Self:
        """Copy the graph; see LangGraph's ``copy``."""
        copy = super().copy(update)
        copy._traced = self._traced
        return copy

    def stream(self, input: Any, config: RunnableConfig | None = None, **more: Any) -> Iterator[Any]:
        """Run the graph; see LangGraph's ``stream``."""
        updates: Any = super().stream(input, self._quiet(config), **more)
        with closing(updates):
            while True:
                with untraced(self._traced):
                    try:
                        update = next(updates)
                    except StopIteration:
                        return
                yield update

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **more: Any
    ) -> AsyncIterator[Any]:
        """Run the graph; see LangGraph's ``astream``."""
        updates: Any = super().astream(input, self._quiet(config), **more)
        async with aclosing(updates):
            while True:
                with untraced(self._traced):
                    try:
                        update = await anext(updates)
                    except StopAsyncIteration:
                        return
                yield update

    def bulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """Change the state; see LangGraph's ``bulk_update_state``."""
        with untraced(self._traced):
            return super().bulk_update_state(self._quiet(config), supersteps)

    async def abulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """Change the state; see LangGraph's ``abulk_update_state``."""
        with untraced(self._traced):
            return await super().abulk_update_state(self._quiet(config), supersteps)

    def _quiet(self, config: RunnableConfig | None) -> RunnableConfig:
        """Return the config without tracers: with the other callbacks that the run would get, its own or inherited."""
        configs = (config, self.config, var_child_runnable_config.get())
        callbacks = next((c["callbacks"] for c in configs if c and c.get("callbacks")), None)
        quiet: RunnableConfig = {**(config or {})}
        if callbacks:
            quiet["callbacks"] = without_tracers(callbacks, self._traced)
        return quiet
