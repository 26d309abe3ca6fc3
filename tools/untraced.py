"""Runs that LangSmith does not see.

``LANGSMITH_TRACING`` in the environment makes LangChain send every input and every output away. A case leaves this
machine only if VideoPath's own setting ``tracing`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from videopath.core.settings import load_settings

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks


@contextmanager
def untraced() -> Iterator[None]:
    """Within the block LangChain adds no tracer, unless the setting allows it. Nothing outside of it changes."""
    from langchain_core.tracers.context import tracing_v2_callback_var
    from langsmith import tracing_context

    if load_settings().tracing:
        yield
        return
    token = tracing_v2_callback_var.set(None)
    try:
        with tracing_context(enabled=False):
            yield
    finally:
        tracing_v2_callback_var.reset(token)


def without_tracers(callbacks: Callbacks) -> Callbacks:
    """The callbacks of a run, less LangSmith's: those of a traced run that this one is a part of."""
    from langchain_core.callbacks import CallbackManager
    from langchain_core.tracers.langchain import LangChainTracer

    if not callbacks or load_settings().tracing:
        return callbacks
    kept = CallbackManager(handlers=[*callbacks]) if isinstance(callbacks, list) else callbacks.copy()
    kept.handlers = [one for one in kept.handlers if not isinstance(one, LangChainTracer)]
    kept.inheritable_handlers = (
        kept.handlers[:]
        if isinstance(callbacks, list)
        else [one for one in kept.inheritable_handlers if not isinstance(one, LangChainTracer)]
    )
    return kept
