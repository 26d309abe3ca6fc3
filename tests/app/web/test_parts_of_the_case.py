"""Parts of the case page that need no browser session of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from videopath.agent import Step
from videopath.agent.cases.records import Candidate
from videopath.app.web.components.case.course.graph import (
    END,
    START,
    dot,
    path_in_words,
    path_of,
    steps_to_come,
)
from videopath.app.web.components.case.course.steps import in_words
from videopath.app.web.components.case.evidence.differential import differential_in_words
from videopath.app.web.components.shared.view import TITLES


def _steps(*names: str) -> list[Step]:
    return [Step(name=name, summary="", started="2026-01-01T00:00:00Z", seconds=0.1) for name in names]


def test_the_path_is_marked_by_numbers_and_not_by_colour_alone() -> None:
    path = path_of(_steps("intake", "describe", "verify", "look_closer", "describe", "report"), finished=True)
    assert path[0] == START
    assert path[-1] == END
    edges = [
        (START, "intake", False),
        ("intake", "describe", False),
        ("describe", "verify", False),
        ("verify", "report", True),
    ]
    drawn = dot(edges, path, None)
    assert "Description\\n2, 5" in drawn
    assert '"intake" -> "describe" [penwidth=2.5' in drawn
    assert '"verify" -> "report" [style=dashed]' in drawn


def test_the_graph_is_described_in_words() -> None:
    told = path_in_words(path_of(_steps("intake", "describe"), finished=False), "diagnose_blind")
    assert "intake, description" in told
    assert "Running now: blind diagnosis" in told


def test_what_comes_next_is_read_from_the_agents_graph(own_home: Path) -> None:
    assert steps_to_come("describe") == ["diagnose_blind", "retrieve", "diagnose", "verify"]
    assert steps_to_come(None)[0] == "intake"
    assert steps_to_come("verify") == []  # a choice: nobody knows yet
    assert steps_to_come("report") == []


def test_every_node_has_a_title(own_home: Path) -> None:
    from videopath.agent import DiagnosticAgent

    with DiagnosticAgent.load(home=own_home) as agent:
        names = set(agent.graph.get_graph().nodes) - {START, END}
    assert names == set(TITLES)


def test_the_differential_is_told_in_words() -> None:
    candidates = [
        Candidate(label="adenoma", probability=0.75),
        Candidate(label="carcinoma", probability=0.25),
    ]
    assert differential_in_words(candidates) == "Differential: adenoma 75%, carcinoma 25%"


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "–"), ([], "–"), (0.5, "0.500"), (["a", "b"], "a · b"), ({"start": 1.0}, "start 1.000")],
)
def test_values_of_a_trace_in_words(value: object, told: str) -> None:
    assert in_words(value) == told
