"""Every script in examples/ runs without a network, and prints what its docstring promises."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[[str], str]

_EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
_SCRIPTS = sorted(path.name for path in _EXAMPLES.glob("*.py"))

# Sockets to other machines are refused inside the example, and in the commands that it starts.
_NO_NETWORK = """
import socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError(f"an example asked for the network: {address}")
    return _connect(self, address)
socket.socket.connect = connect
"""


@pytest.fixture
def run_example(tmp_path: Path) -> Run:
    """Run a script of examples/ with a home folder of its own; return what it prints."""
    (tmp_path / "site" / "sitecustomize.py").parent.mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_NO_NETWORK)
    (tmp_path / "work").mkdir()
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "VIDEOPATH_HOME": str(tmp_path / "home"), "PYTHONPATH": path}

    def run(name: str) -> str:
        answer = subprocess.run(
            [sys.executable, str(_EXAMPLES / name)],
            capture_output=True, text=True, env=environment, cwd=tmp_path / "work",
        )  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert list((tmp_path / "work").iterdir()) == []
        return answer.stdout

    return run


def test_there_are_six_examples_and_each_has_a_test() -> None:
    tested = re.findall(r'run_example\("(\w+\.py)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert len(_SCRIPTS) == 6
    assert sorted(tested) == _SCRIPTS


@pytest.mark.parametrize("name", _SCRIPTS)
def test_an_example_is_short_and_says_how_it_is_run(name: str) -> None:
    text = (_EXAMPLES / name).read_text(encoding="utf-8")
    assert 10 <= len(text.splitlines()) <= 60
    assert f"python examples/{name}" in (ast.get_docstring(ast.parse(text)) or "")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_agent_prints_each_step_and_the_diagnosis(run_example: Run) -> None:
    printed = run_example("agent_in_ten_lines.py")
    steps = re.findall(r"^ *\d+\.\d\d s  (\w+): ", printed, re.MULTILINE)
    assert steps == ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]
    assert "Diagnosis: colon adenocarcinoma (confidence 0." in printed
    assert re.search(r"^- .+ \[\d+\.\d s\]$", printed, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_another_agent_calls_each_tool_once(run_example: Run) -> None:
    lines = run_example("tools_in_another_agent.py").splitlines()
    tools = ["describe_tissue", "retrieve_similar_cases", "diagnose_tissue"]
    assert [line for line in lines if line.startswith("ai: ")][:-1] == [f"ai: {tool}" for tool in tools]
    assert [line.split(":")[0] for line in lines[2:-1:2]] == tools
    assert re.fullmatch(r"ai: oral squamous cell carcinoma \(0\.\d\d\)", lines[-1])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_knowledge_base_is_measured_and_its_cases_are_judged(run_example: Run) -> None:
    printed = run_example("own_knowledge_base.py")
    accuracy = re.search(r"^24 records; the vote of the cases is right in (\d\.\d\d) ", printed, re.MULTILINE)
    assert accuracy is not None
    assert float(accuracy[1]) >= 0.9
    assert "Diagnosis: colon adenocarcinoma (done)" in printed
    assert re.search(r"^- (model|cases): vouches$", printed, re.MULTILINE)
    assert re.search(r"^- cases: (vouches$|The picture is unlike every case )", printed, re.MULTILINE)
    assert "(evidence)" in printed
    assert "Left out by name: ['colon adenocarcinoma 0']" in printed


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_own_encoder_finds_the_same_tissue(run_example: Run) -> None:
    first, *hits = run_example("own_frame_encoder.py").splitlines()
    assert first == "stain-histogram: 32 records, 48 numbers a picture"
    scores = [float(hit.split()[0]) for hit in hits]
    assert len(hits) == 5
    assert scores == sorted(scores, reverse=True)
    assert re.fullmatch(r"0\.\d{3} normal oral epithelium \d", hits[0])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_own_engine_is_asked_by_the_agent(run_example: Run) -> None:
    first, *steps = run_example("own_engine.py").splitlines()
    assert re.fullmatch(r"colon adenocarcinoma \(\w+\), by dark-share", first)
    assert re.fullmatch(r"describe: Dark pixels cover \d+% of the field\.", steps[1])
    assert [step.split(":")[0] for step in steps][-2:] == ["verify", "report"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fine_tuning_teaches_new_words(run_example: Run) -> None:
    printed = run_example("fine_tune_and_evaluate.py")
    shares = dict(
        re.findall(r"^Share of right answers (\w+) fine-tuning: (\d\.\d\d)$", printed, re.MULTILINE)
    )
    assert shares.keys() == {"before", "after"}
    assert float(shares["before"]) == 0
    assert float(shares["after"]) >= 0.75
    assert "No problems found." in printed
