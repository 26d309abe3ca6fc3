"""A library in SQLite files is copied into PostgreSQL, and its cases go on there."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

import pytest
from fixtures.scripted import SURE, ScriptedEngine
from typer.testing import CliRunner

from videopath.agent import DiagnosticAgent, Policy
from videopath.agent.cases import copying
from videopath.agent.cases.copying import copy_library
from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.team.queue import CaseQueue
from videopath.app.cli.main import app
from videopath.core.errors import InputError

STEPS = ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]


@pytest.fixture
def source(own_home: Path, words_alone: Path, small_case: Path) -> CaseLibrary:
    """A finished, an interrupted, a waiting and a queued case in SQLite files."""
    library = CaseLibrary(own_home)
    policy = Policy(max_looks=0, samples=1)
    for review in ("never", "always"):
        chosen = policy.model_copy(update={"review": review})
        with DiagnosticAgent.load(ScriptedEngine(SURE), words_alone, policy=chosen, library=library) as agent:
            if review == "always":
                agent.diagnose(small_case, site="colon", case_id="waiting", writing="keep")
                continue
            agent.diagnose(small_case, site="colon", case_id="done", writing="keep")
            steps = agent.stream(small_case, site="colon", case_id="interrupted", writing="keep")
            list(islice(steps, 2))
            steps.close()
            agent.begin(small_case, site="colon", case_id="queued", writing="keep", queued=True)
    return library


def contents(home: Path) -> dict[str, str]:
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_cases_are_copied_once_and_go_on_from_their_last_finished_step(
    source: CaseLibrary, postgres: str, tmp_path: Path, words_alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(source.home)
    target = CaseLibrary(tmp_path / "shared", postgres)
    insert, calls = copying._insert, []  # noqa: SLF001

    def killed_at_the_second(*given: object) -> None:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        insert(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_insert", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            copy_library(source, target)
    assert len(target.list()) == 1
    with source.working("interrupted"):
        done = copy_library(source, target)
    assert done.left_out == {"interrupted": "a process works on it"}
    done = copy_library(source, target)
    assert (done.present + done.copied, done.left_out) == (4, {})
    assert [e.model_dump() for e in target.list()] == [e.model_dump() for e in source.list()]
    assert target.get("done").to_json() == source.get("done").to_json()
    assert CaseQueue(target).waiting() == ["queued"]
    assert contents(source.home) == before
    with DiagnosticAgent.load(ScriptedEngine(SURE), words_alone, library=target) as agent:
        waiting = agent.pending("waiting")
        assert waiting is not None
        agent.resume("waiting", {"action": "accept", "reviewer": "Dr. A", "interrupt_id": waiting.id})
        assert [step.name for step in agent.stream_resume("interrupted")] == STEPS[2:]
    target.sign("done", "Dr. A")
    again = copy_library(source, target)
    assert (again.copied, again.present) == (0, 1)
    assert set(again.left_out) == {"done", "waiting", "interrupted"}
    assert target.entry("done").status == "signed"


def test_the_command_says_what_it_did_and_what_is_missing(own_home: Path, postgres: str) -> None:
    run = CliRunner()
    empty = run.invoke(app, ["cases", "copy"])
    assert (empty.exit_code, "There is no cases.sqlite" in empty.output) == (2, True)
    source = CaseLibrary(own_home)
    source.start("a", "a.mp4", None, "nano", inputs="{}")
    source.start("b", "a.mp4", None, "nano", inputs="{}", queued=True)
    first = run.invoke(app, ["cases", "copy", "--to", postgres])
    assert first.exit_code == 0, first.output
    assert "2 cases copied, 0 were there already, 0 left out." in first.output
    CaseLibrary(own_home, postgres).set_status("a", "failed", "why")
    second = run.invoke(app, ["cases", "copy"])
    assert second.exit_code == 1
    assert "Case a was left out: it is different in the target" in second.output
    wrong = run.invoke(app, ["cases", "copy", "--to", "mysql://somewhere/x"])
    assert wrong.exit_code == 2
    with pytest.raises(InputError, match="from SQLite files into"):
        copy_library(source, source)
