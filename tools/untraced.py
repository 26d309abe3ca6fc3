"""Runs without LangSmith.

If ``LANGSMITH_TRACING`` is set in the environment, LangChain sends every input and output to LangSmith. A case leaves
this machine only if VideoPath's own setting ``tracing`` allows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from videopath.core.settings import load_settings

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks


def tracing_allowed() -> bool:
    """Return whether the setting allows tracing. It reads a file, so an event loop must not call it directly."""
    return load_settings().tracing


@contextmanager
def untraced(allowed: bool) -> Iterator[None]:
    """Keep LangChain from adding a tracer within the block, unless tracing is allowed."""
    from langchain_core.tracers.context import tracing_v2_callback_var
    from langsmith import tracing_context

    if allowed:
        yield
        return
    token = tracing_v2_callback_var.set(None)
    try:
        with tracing_context(enabled=False):
            yield
    finally:
        tracing_v2_callback_var.reset(token)


def without_tracers(callbacks: Callbacks, allowed: bool) -> Callbacks:
    """Return the callbacks of a run without those of LangSmith, which a traced outer run passes on."""
    from langchain_core.callbacks import CallbackManager
    from langchain_core.tracers.langchain import LangChainTracer

    if not callbacks or allowed:
        return callbacks
    kept = CallbackManager(handlers=[*callbacks]) if isinstance(callbacks, list) else callbacks.copy()
    kept.handlers = [one for one in kept.handlers if not isinstance(one, LangChainTracer)]
    kept.inheritable_handlers = (
        kept.handlers[:]
        if isinstance(callbacks, list)
        else [one for one in kept.inheritable_handlers if not isinstance(one, LangChainTracer)]
    )
    return kept
