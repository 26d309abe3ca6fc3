"""The trace is readable at any moment, whatever happened to its writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.agent.cases.records import Step
from videopath.agent.cases.trace import append_step, parse_trace, read_trace, trace_text
from videopath.agent.graph.steps import record_step
from videopath.core.errors import CaseError


def _step(name: str = "describe", **more: object) -> Step:
    return Step(name=name, summary="done", started="2026-01-31T14:25:01.000Z", seconds=0.25, **more)


def test_each_step_is_one_json_line_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "case" / "trace.jsonl"
    assert read_trace(path) == []
    for count, name in enumerate(("intake", "describe"), 1):
        append_step(path, _step(name, detail={"text": "two\nlines — ü"}))
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == count
        assert json.loads(lines[-1])["name"] == name
    assert [step.name for step in read_trace(path)] == ["intake", "describe"]


@pytest.mark.parametrize("torn", [b"{", b'{"name":"desc', b"x" * 200_000])
def test_a_torn_tail_is_left_out_and_repaired(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "trace.jsonl"
    append_step(path, _step("intake"))
    path.write_bytes(path.read_bytes() + torn)
    assert [step.name for step in read_trace(path)] == ["intake"]
    append_step(path, _step("describe"))
    assert [step.name for step in read_trace(path)] == ["intake", "describe"]


@pytest.mark.parametrize("damage", [b'{"name": 3}', b"", b"\xff", b"[" * 100_000])
def test_a_damaged_line_costs_that_line_alone_and_says_so(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "trace.jsonl"
    append_step(path, _step("intake"))
    path.write_bytes(path.read_bytes() + damage + b"\n")
    append_step(path, _step("describe"))
    steps = read_trace(path)
    assert [step.name for step in steps] == ["intake", "damaged", "describe"]
    assert "Line 2 of trace.jsonl is not a step" in steps[1].summary
    with pytest.raises(CaseError, match=r"Line 2 of trace\.jsonl"):
        list(parse_trace(path.read_bytes()))  # a bundle is whole or is not one
    before = path.read_bytes()
    record_step(path, 3, _step("report"))
    assert path.read_bytes().startswith(before)


def test_a_step_that_runs_again_after_a_kill_keeps_its_line_unless_it_says_something_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "trace.jsonl"
    append_step(path, _step("intake"))
    first = _step("describe").model_copy(update={"seconds": 2.5, "started": "2026-01-01T00:00:00Z"})
    assert record_step(path, 1, first) == first
    before = path.read_bytes()
    assert record_step(path, 1, _step("describe")) == first
    assert path.read_bytes() == before
    other = _step("describe").model_copy(update={"summary": "another answer"})
    assert record_step(path, 1, other) == other
    assert read_trace(path) == [_step("intake"), other]


def test_a_trace_that_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").mkdir()
    with pytest.raises(CaseError, match="cannot be read"):
        read_trace(tmp_path / "trace.jsonl")


def test_a_killed_writer_leaves_whole_steps(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    script = (
        "import sys, pathlib, itertools\n"
        "from videopath.agent.cases.records import Step\n"
        "from videopath.agent.cases.trace import append_step\n"
        "for n in itertools.count():\n"
        "    append_step(pathlib.Path(sys.argv[1]), Step(name=str(n), summary='x' * 5000, started='', seconds=0))\n"
        "    if n == 3: print('ready', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
    steps = read_trace(path)
    assert len(steps) >= 4
    assert [step.name for step in steps] == [str(n) for n in range(len(steps))]


_steps = st.builds(
    Step,
    name=st.text(max_size=10),
    summary=st.text(max_size=40),
    detail=st.dictionaries(
        st.text(max_size=5), st.one_of(st.text(max_size=20), st.integers(-9, 9), st.booleans())
    ),
    started=st.just("2026-01-31T14:25:01.000Z"),
    seconds=st.floats(0, 1e6),
    evidence=st.lists(st.text(max_size=5), max_size=3),
)


@given(st.lists(_steps, max_size=4))
def test_text_and_back_is_the_identity(steps: list[Step]) -> None:
    assert list(parse_trace(trace_text(steps).encode())) == steps
