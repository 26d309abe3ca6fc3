"""A compiled graph that LangSmith does not see, whoever runs it and in whichever way."""

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
    """Every run of a graph is a ``stream`` or an ``astream``, and every change from outside a ``bulk_update_state``.

    The context is left between two updates, so that the caller's own code is traced as before.
    """

    _traced = False

    @classmethod
    def of(cls, graph: CompiledStateGraph[CaseState, RunContext, CaseInput, CaseState]) -> Self:
        """The same graph, untraced."""
        made = cls.__new__(cls)
        made.__dict__.update(vars(graph))
        made._traced = tracing_allowed()  # now: a run may be in an event loop, which must not wait for a file
        return made

    def copy(self, update: dict[str, Any] | None = None) -> Self:
        """As LangGraph's ``copy``."""
        made = super().copy(update)
        made._traced = self._traced
        return made

    def stream(self, input: Any, config: RunnableConfig | None = None, **more: Any) -> Iterator[Any]:
        """As LangGraph's ``stream``."""
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
        """As LangGraph's ``astream``."""
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
        """As LangGraph's ``bulk_update_state``."""
        with untraced(self._traced):
            return super().bulk_update_state(self._quiet(config), supersteps)

    async def abulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """As LangGraph's ``abulk_update_state``."""
        with untraced(self._traced):
            return await super().abulk_update_state(self._quiet(config), supersteps)

    def _quiet(self, config: RunnableConfig | None) -> RunnableConfig:
        """The config with the callbacks that the run would get, its own or those of the run around it, less tracers."""
        places = (config, self.config, var_child_runnable_config.get())
        callbacks = next((place["callbacks"] for place in places if place and place.get("callbacks")), None)
        quiet: RunnableConfig = {**(config or {})}
        if callbacks:
            quiet["callbacks"] = without_tracers(callbacks, self._traced)
        return quiet
