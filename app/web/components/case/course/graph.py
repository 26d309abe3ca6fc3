"""The agent's graph as a picture, with the path of a case."""

from __future__ import annotations

import streamlit as st

from videopath.agent import Step
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.view import CaseView, title_of
from videopath.app.web.runtime.services import services

START, END = "__start__", "__end__"

Edge = tuple[str, str, bool]  # from, to, whether the edge is conditional


def graph(view: CaseView) -> None:
    """Draw the graph: steps taken have a thick border and numbers, other steps a dashed border."""
    path = path_of(view.steps, finished=bool(view.report) and not view.active)
    running = view.job.step if view.job and view.active else None
    with st.container(key="graph"):
        st.graphviz_chart(dot(_edges(), path, running), width="stretch", alt=path_in_words(path, running))
        st.caption(
            "Thick: the path of this case, with its steps numbered. Dashed: steps that were not taken."
        )


def path_of(steps: list[Step], *, finished: bool) -> list[str]:
    """Return the nodes in the order in which they were visited."""
    names = [step.name for step in steps]
    ended = finished and names[-1:] == ["report"]
    return [START, *names, *([END] if ended else [])]


def path_in_words(path: list[str], running: str | None) -> str:
    """Return the path in words."""
    named = ", ".join(title_of(name).lower() for name in path if name not in (START, END)) or "none yet"
    return f"The graph of the agent. Steps taken, in order: {named}." + (
        f" Running now: {title_of(running).lower()}." if running else ""
    )


def dot(edges: list[Edge], path: list[str], running: str | None) -> str:
    """Return the graph as Graphviz text, which the browser draws."""
    ink = palette()
    lines = [
        "digraph {",
        'rankdir=TB; bgcolor="transparent"; nodesep=0.35; ranksep=0.32;',
        f'node [shape=box, style="rounded", fontname="sans-serif", fontsize=13, fontcolor="{ink.text}", '
        f'color="{ink.soft}"];',
        f'edge [fontname="sans-serif", fontsize=11, fontcolor="{ink.accent}", color="{ink.soft}"];',
    ]
    names = dict.fromkeys(name for edge in edges for name in edge[:2])
    lines += [_node(name, path, running) for name in names]
    lines += [_edge(edge, path) for edge in edges]
    return "\n".join([*lines, "}"])


def steps_to_come(step: str | None) -> list[str]:
    """Return the steps that are certain to follow ``step``: up to the next choice that no step joins again."""
    targets: dict[str, list[str]] = {}
    for source, target, _ in _edges():
        targets.setdefault(source, []).append(target)
    coming: list[str] = []
    following = _certain(targets, step or START)
    while following and following != END and following not in coming:
        coming.append(following)
        following = _certain(targets, following)
    return coming


def _certain(targets: dict[str, list[str]], node: str) -> str | None:
    """Return the step that follows a node whatever is chosen; None if there is none.

    At a choice, it is the target that every other target leads to, and to nothing else.
    """
    choices = targets.get(node, [])
    joined = (one for one in choices if all(targets.get(other) == [one] for other in choices if other != one))
    return next(joined, None)


def _node(name: str, path: list[str], running: str | None) -> str:
    ink = palette()
    if name in (START, END):
        return f'"{name}" [label="{"start" if name == START else "end"}", shape=plaintext];'
    order = [str(number) for number, visited in enumerate(path) if visited == name]
    label = title_of(name) + (f"\\n{', '.join(order)}" if order else "")
    if name == running:
        return f'"{name}" [label="{label}\\nrunning", peripheries=2, penwidth=2.5, color="{ink.accent}"];'
    if order:
        return f'"{name}" [label="{label}", penwidth=2.5, color="{ink.accent}"];'
    return f'"{name}" [label="{label}", style="rounded,dashed", fontcolor="{ink.soft}"];'


def _edge(edge: Edge, path: list[str]) -> str:
    source, target, _ = edge
    taken = (source, target) in zip(path, path[1:], strict=False)
    style = f'penwidth=2.5, color="{palette().accent}"' if taken else "style=dashed"
    return f'"{source}" -> "{target}" [{style}];'


def _edges() -> list[Edge]:
    return _edges_of(str(services().home))


@st.cache_resource(show_spinner=False)
def _edges_of(home: str) -> list[Edge]:
    """The edges of the agent's graph; no model is loaded."""
    from videopath.agent import DiagnosticAgent

    with DiagnosticAgent.load(home=home) as agent:
        return [(edge.source, edge.target, edge.conditional) for edge in agent.graph.get_graph().edges]
