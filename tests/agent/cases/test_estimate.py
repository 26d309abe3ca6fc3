"""What begins is told, and how long it takes is learnt from earlier cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent import DiagnosticAgent, Policy, Progress
from videopath.agent.cases.estimate import expected_activities, expected_seconds
from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.trace import append_step

POLICY = Policy(max_looks=0, samples=1, description_tokens=8, answer_tokens=8)


@pytest.fixture(scope="module")
def heard_and_agent(
    tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path, small_case: Path
) -> Iterator[tuple[list[Progress], DiagnosticAgent]]:
    heard: list[Progress] = []
    home = tmp_path_factory.mktemp("home")
    with DiagnosticAgent.load(
        small_checkpoint, policy=POLICY, device="cpu", dtype="float32", home=home
    ) as agent:
        agent.diagnose(small_case, site="colon", case_id="told", on_progress=heard.append)
        yield heard, agent


def test_every_step_tells_what_begins(heard_and_agent: tuple[list[Progress], DiagnosticAgent]) -> None:
    heard, agent = heard_and_agent
    told: dict[str, list[str]] = {}
    for progress in heard:
        if progress.kind == "activity":
            told.setdefault(progress.step, []).append(progress.text)
    assert told["intake"][0] == "reading the video"
    assert list(dict.fromkeys(told["describe"]))[:3] == ["loading the model", "encoding the video", "writing"]
    assert told["diagnose_blind"][0] == "writing"
    assert any(text.startswith("scoring ") for text in told["diagnose_blind"])
    assert told["retrieve"] == ["searching similar cases", "encoding the video"]
    kinds = [p.kind for p in heard if p.step == "describe"]
    assert kinds.index("token") > kinds.index("activity") > kinds.index("started")
    step = next(step for step in agent.report("told").steps if step.name == "describe")
    spent = step.detail["seconds_by_activity"]
    assert list(spent)[0] == "loading the model"
    assert 0 < sum(spent.values()) <= step.seconds + 0.05


def test_the_estimate_is_that_of_earlier_cases(
    heard_and_agent: tuple[list[Progress], DiagnosticAgent], small_checkpoint: Path
) -> None:
    _, agent = heard_and_agent
    seconds = expected_seconds(agent.library, "small")
    assert list(seconds) == [step.name for step in agent.report("told").steps]
    assert seconds == expected_seconds(agent.library, str(small_checkpoint)), "by what it was begun with, too"
    assert expected_activities(agent.library, "small")["loading the model"] > 0


def test_medians_of_the_same_model_without_reviews(cases: SimpleNamespace) -> None:
    library = load_case_library()
    assert expected_seconds(library, "VideoPath-nano") == {}
    for number, seconds in enumerate((1.0, 2.0, 60.0)):
        report = cases.report(f"case-{number}")
        folder = library.save(report)
        append_step(folder / "trace.jsonl", cases.step("describe", seconds))
        append_step(folder / "trace.jsonl", cases.step("review", 900.0))
    (library.folder("case-2") / "trace.jsonl").write_text("no trace\n")
    assert expected_seconds(library, "VideoPath-nano") == {"describe": 1.5}
    assert expected_seconds(library, "another") == {}
