"""Use VideoPath's tools in a LangGraph agent of your own: python examples/tools_in_another_agent.py

The graph is the usual one: a planner asks for tools, LangGraph's ToolNode runs them, and the planner reads the answers.
In your agent the planner is a chat model with ``model.bind_tools(tools)``; here it is a function, which needs no network.
The tools share one session: the video is encoded once.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from videopath.media.synthetic import render_case
from videopath.tools import toolkit


def planner(state: MessagesState) -> dict[str, list[AIMessage]]:
    """Stand in for a chat model: describe, then retrieve, then diagnose, then answer."""
    video = str(state["messages"][0].content)
    results = {m.name: json.loads(str(m.content)) for m in state["messages"] if isinstance(m, ToolMessage)}
    clip, site = {"video": video}, "oral cavity"
    if "describe_tissue" not in results:
        return _call("describe_tissue", {**clip, "site": site})
    description = results["describe_tissue"]["description"]
    if "retrieve_similar_cases" not in results:
        return _call("retrieve_similar_cases", {"description": description, "site": site, "clip": clip})
    if "diagnose_tissue" not in results:
        neighbours = results["retrieve_similar_cases"]["neighbours"]
        arguments = {"site": site, "description": description, "neighbours": neighbours}
        return _call("diagnose_tissue", {**clip, **arguments})
    best = results["diagnose_tissue"]["differential"][0]
    return {"messages": [AIMessage(f"{best['label']} ({best['probability']:.2f})")]}


def _call(tool: str, arguments: dict[str, Any]) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": f"call_{tool}"}])]}


graph = StateGraph(MessagesState)
graph.add_node("planner", planner)
graph.add_node("tools", ToolNode(toolkit("nano")))
graph.add_edge(START, "planner")
graph.add_conditional_edges("planner", tools_condition, {"tools": "tools", END: END})
graph.add_edge("tools", "planner")
with tempfile.TemporaryDirectory() as folder:
    case = render_case(Path(folder) / "case.mp4", entity="oral squamous cell carcinoma")
    for message in graph.compile().invoke({"messages": [HumanMessage(str(case))]})["messages"]:
        kind = message.name if isinstance(message, ToolMessage) else message.type
        asked = [call["name"] for call in getattr(message, "tool_calls", [])]
        print(f"{kind}: {', '.join(asked) or str(message.content)[:150]}")
