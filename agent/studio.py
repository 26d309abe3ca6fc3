"""The graph for LangGraph's own tools (``langgraph.json``): built from the settings, checkpoints by the tool itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videopath.agent.graph import build_graph
from videopath.agent.loading import load_nodes
from videopath.agent.policy import Policy
from videopath.core.settings import load_settings

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph


def make_graph() -> CompiledStateGraph:
    """The graph around the model and the knowledge base of the settings."""
    settings = load_settings()
    nodes = load_nodes(
        settings.model,
        settings.knowledge,
        Policy(review=settings.review),
        frames=settings.frames,
        device=settings.device,
        dtype=settings.dtype,
        accept_licence=settings.accept_licence,
        home=settings.home,
    )
    return build_graph(nodes)
