"""One unchanged ``agent.diagnose`` with any kind of model: its trace says what was measured how, and it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.families import write_family
from fixtures.model_server import ScriptedServer

from videopath.agent import DiagnosticAgent, Policy
from videopath.agent.cases.trace import read_trace
from videopath.model import load_engine

_POLICY = Policy(max_looks=0, samples=1, description_tokens=12, answer_tokens=12, show_blank=False)
_STEPS = ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]
_ANSWER = {
    "findings": [{"text": "Crowded glands."}],
    "diagnosis": "colon adenocarcinoma",
    "rationale": "Glands.",
}
_MODULE = f"""
from videopath.model import FunctionEngine

def load(spec):
    return FunctionEngine(lambda clip, question: {json.dumps(_ANSWER)!r}, name="mine", weights_sha256="1" * 64)
"""
_SCORING = {
    "nano": "token probabilities",
    "served": "lettered choice",
    "qwen2_5_vl": "token probabilities",
    "gemma3": "token probabilities",
    "installed": "sampled answers",
}


@pytest.fixture
def model(
    request: pytest.FixtureRequest,
    serve: Callable[..., ScriptedServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The name of a model of the kind that a test is parametrised with."""
    kind: str = request.param
    if kind == "nano":
        return kind
    if kind == "served":
        return serve(top_logprobs=20, answer=json.dumps(_ANSWER)).name
    if kind == "installed":
        info = tmp_path / "site" / "mine-1.0.dist-info"
        info.mkdir(parents=True)
        (tmp_path / "site" / "mine_engine.py").write_text(_MODULE)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[videopath.engines]\nmine = mine_engine:load\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return "mine"
    return str(write_family(kind, tmp_path / kind, max_position_embeddings=16384))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "kind"), [(kind, kind) for kind in _SCORING], indirect=["model"])
def test_a_case_with_any_model_is_whole_and_goes_on_after_a_stop(
    model: str, kind: str, small_case: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with DiagnosticAgent.load(model, policy=_POLICY, frames=2, home=home) as agent:
        steps = agent.stream(small_case, site="colon", case_id="stopped")
        assert [next(steps).name for _ in range(3)] == _STEPS[:3]
        steps.close()
    calls = home / "cases" / "stopped" / "calls.jsonl"
    before = calls.read_bytes()
    with DiagnosticAgent.load(load_engine(model), policy=_POLICY, frames=2, home=home) as agent:
        report = agent.resume("stopped")
    assert report.status in ("done", "abstained")
    trace = read_trace(report.folder / "trace.jsonl")
    assert [step.name for step in trace] == _STEPS
    assert calls.read_bytes().startswith(before)
    keys = [json.loads(line)["key"] for line in calls.read_text().splitlines()]
    assert len(keys) == len(set(keys))
    result = next(step for step in trace if step.name == "diagnose").detail["result"]
    assert result["scoring"] == _SCORING[kind]
    assert result["call"]["wording"] == ("videopath" if kind == "nano" else "plain")
    assert ("leave this machine" in trace[0].summary) == (kind == "served")
