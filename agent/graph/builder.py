"""The graph: every node and every edge.

intake → describe → diagnose_blind → retrieve → diagnose ─┬──────────────────→ verify ─┬→ report
            ↑                           ↑          ↑       └→ second_opinion ───↗      │
            ├──── look_closer ←─────────┼──────────┼───────────────────────────────────┤
            │                           │          │                                   └→ review ─┬→ report
            └───────────────────────────┴──────────┴──────────────────────────────────────────────┘

``second_opinion`` runs only if the settings of the case name a second model.

A revision sends the case back: to ``describe`` with another segment, to ``retrieve`` with a corrected description,
or to ``diagnose`` without the cases that the reviewer dropped. The case then returns to their review.
"""

from __future__ import annotations

from typing import Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from videopath.agent.graph.nodes import Nodes
from videopath.agent.graph.observed import observed
from videopath.agent.graph.routing import (
    asks_for_second_opinion,
    needs_closer_look,
    needs_review,
    step_after_review,
)
from videopath.agent.graph.state import CaseInput, CaseState
from videopath.agent.graph.steps import RunContext
from videopath.agent.graph.untraced import UntracedGraph
from videopath.agent.graph.view import StateView

CaseGraph = UntracedGraph


def build_graph(nodes: Nodes, checkpointer: BaseCheckpointSaver | None = None) -> CaseGraph:
    """Return the compiled graph around these nodes.

    Args:
        nodes: The functions of the graph's nodes.
        checkpointer: Where the state is saved after each step; None saves nothing, or leaves it to a server.
    """
    graph = StateGraph(CaseState, input_schema=CaseInput, context_schema=RunContext)

    graph.add_node("intake", observed(nodes.intake))
    graph.add_node("describe", observed(nodes.describe))
    graph.add_node("diagnose_blind", observed(nodes.diagnose_blind))
    graph.add_node("retrieve", observed(nodes.retrieve))
    graph.add_node("diagnose", observed(nodes.diagnose))
    graph.add_node("second_opinion", observed(nodes.second_opinion))
    graph.add_node("verify", observed(nodes.verify))
    graph.add_node("look_closer", observed(nodes.look_closer))
    graph.add_node("review", observed(nodes.review))
    graph.add_node("report", observed(nodes.report))

    graph.add_edge(START, "intake")
    graph.add_edge("intake", "describe")
    graph.add_edge("describe", "diagnose_blind")
    graph.add_edge("diagnose_blind", "retrieve")
    graph.add_edge("retrieve", "diagnose")
    graph.add_conditional_edges("diagnose", after_diagnose)
    graph.add_edge("second_opinion", "verify")
    graph.add_conditional_edges("verify", after_verify)
    graph.add_edge("look_closer", "describe")
    graph.add_conditional_edges("review", after_review)
    graph.add_edge("report", END)

    return UntracedGraph.of(graph.compile(checkpointer=checkpointer, name="videopath"))


def after_diagnose(state: CaseState) -> Literal["second_opinion", "verify"]:
    """Return ``second_opinion`` if the case asks for one, else ``verify``."""
    return "second_opinion" if asks_for_second_opinion(StateView(state)) else "verify"


def after_verify(state: CaseState) -> Literal["look_closer", "review", "report"]:
    """Return the step after ``verify``.

    A revised case returns to its reviewer. Otherwise: a closer look while it may help, then a review if the policy
    asks for one, then the report.
    """
    case = StateView(state)
    if case.revisions:
        return "review"
    if needs_closer_look(case):
        return "look_closer"
    return "review" if needs_review(case) else "report"


def after_review(state: CaseState) -> Literal["describe", "retrieve", "diagnose", "report"]:
    """Return ``report`` if the decision ended the case, else the first step that the revision changes."""
    return step_after_review(StateView(state))
