"""The graph for LangGraph's own tools (``langgraph.json``): built from the settings, checkpoints by the tool itself."""

from __future__ import annotations

from functools import partial

from videopath.agent.graph.builder import CaseGraph, build_graph
from videopath.agent.loading import load_nodes
from videopath.agent.policy import Policy
from videopath.core.folders import named_by_visitor
from videopath.core.settings import load_settings


def make_graph() -> CaseGraph:
    """The graph around the model and the knowledge base of the settings."""
    settings = load_settings()
    nodes = load_nodes(
        settings.model,
        settings.knowledge,
        Policy(review=settings.review, accept_uncalibrated=settings.accept_uncalibrated),
        base=settings.base,
        frames=settings.frames,
        device=settings.device,
        dtype=settings.dtype,
        accept_licence=settings.accept_licence,
        home=settings.home,
    )
    nodes.sessions.refuse = partial(named_by_visitor, settings=settings)
    return build_graph(nodes)
