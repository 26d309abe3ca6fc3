"""The graph: every node and every edge.

intake → describe → diagnose_blind → retrieve → diagnose → verify ─┬→ report
            ↑                           ↑          ↑               │
            ├──── look_closer ←─────────┼──────────┼───────────────┤
            │                           │          │               └→ review ─┬→ report
            └───────────────────────────┴──────────┴──────────────────────────┘

A person who revises sends the case back: to ``describe`` with another segment, to ``retrieve`` with a corrected
description, to ``diagnose`` without cases that they dropped. It comes back to their review.
"""

from __future__ import annotations

from typing import Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from videopath.agent.graph.nodes import Nodes
from videopath.agent.graph.routing import goes_on_with, is_revised, wants_closer_look, wants_review
from videopath.agent.graph.state import CaseInput, CaseState
from videopath.agent.graph.steps import RunContext
from videopath.agent.graph.untraced import UntracedGraph

CaseGraph = UntracedGraph


def build_graph(nodes: Nodes, checkpointer: BaseCheckpointSaver | None = None) -> CaseGraph:
    """The compiled graph around these nodes."""
    graph = StateGraph(CaseState, input_schema=CaseInput, context_schema=RunContext)

    graph.add_node("intake", nodes.intake)
    graph.add_node("describe", nodes.describe)
    graph.add_node("diagnose_blind", nodes.diagnose_blind)
    graph.add_node("retrieve", nodes.retrieve)
    graph.add_node("diagnose", nodes.diagnose)
    graph.add_node("verify", nodes.verify)
    graph.add_node("look_closer", nodes.look_closer)
    graph.add_node("review", nodes.review)
    graph.add_node("report", nodes.report)

    graph.add_edge(START, "intake")
    graph.add_edge("intake", "describe")
    graph.add_edge("describe", "diagnose_blind")
    graph.add_edge("diagnose_blind", "retrieve")
    graph.add_edge("retrieve", "diagnose")
    graph.add_edge("diagnose", "verify")
    graph.add_conditional_edges("verify", after_verify)
    graph.add_edge("look_closer", "describe")
    graph.add_conditional_edges("review", after_review)
    graph.add_edge("report", END)

    return UntracedGraph.of(graph.compile(checkpointer=checkpointer, name="videopath"))


def after_verify(state: CaseState) -> Literal["look_closer", "review", "report"]:
    """Look closer while it may help, then ask a person if the policy says so or one took part, then report."""
    if is_revised(state):
        return "review"
    if wants_closer_look(state):
        return "look_closer"
    return "review" if wants_review(state) else "report"


def after_review(state: CaseState) -> Literal["describe", "retrieve", "diagnose", "report"]:
    """Report a decision that ends the case; a revision goes on at the first step that it changes."""
    return goes_on_with(state)
