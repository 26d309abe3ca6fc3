"""Agents on one PostgreSQL database: a case is taken over, a worker that lost it stops, and a platform brings its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.scripted import SURE, ScriptedEngine
from langgraph.checkpoint.memory import InMemorySaver

from videopath.agent import DiagnosticAgent, Policy, load_case_library
from videopath.agent.cases.storage.store import LostCaseError
from videopath.core.errors import CaseError, InputError

PROGRAM = Path(__file__).with_name("stopped_worker.py")
STEPS = ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]


def agent_on(knowledge: Path, engine: ScriptedEngine | None = None, **more: object) -> DiagnosticAgent:
    return DiagnosticAgent.load(engine or ScriptedEngine(SURE), knowledge, policy=Policy(max_looks=0), **more)


def left_in(address: str, table: str) -> int:
    import psycopg

    with psycopg.connect(address) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608
    return int(count)


@pytest.mark.slow
def test_a_killed_workers_case_is_taken_over_by_one_and_no_finished_step_is_repeated(
    own_home: Path, postgres: str, words_alone: Path, small_case: Path
) -> None:
    command = [sys.executable, PROGRAM, PROGRAM.parents[2], words_alone, small_case, "case-1"]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        reached = worker.stdout.readline()
        if reached == "here\n":
            library = load_case_library()
            assert library.entry("case-1").state == "running"
            with pytest.raises(CaseError, match="works on case"), agent_on(words_alone) as early:
                early.resume("case-1")
        worker.kill()
        assert reached == "here\n", worker.stderr.read()
    folder = library.folder("case-1")
    trace, asked = (folder / "trace.jsonl").read_bytes(), (folder / "calls.jsonl").read_bytes()
    with library.working("case-1", wait=10):  # the server has freed the lock
        assert left_in(postgres, "checkpoints") > 0
    with agent_on(words_alone) as first, agent_on(words_alone) as second:
        steps = first.stream_resume("case-1")
        further = [next(steps).name]
        with pytest.raises(CaseError, match="works on case"):
            second.resume("case-1")
        further += [step.name for step in steps]
        assert further == STEPS[3:]
        assert second.report("case-1").status == "done"
    assert (folder / "trace.jsonl").read_bytes().startswith(trace)
    assert (folder / "calls.jsonl").read_bytes().startswith(asked)
    assert [step.name for step in load_case_library().get("case-1").steps] == STEPS
    assert left_in(postgres, "checkpoints") == left_in(postgres, "checkpoint_writes") == 0
    assert not list(own_home.glob("*.sqlite*"))


def test_a_worker_that_lost_its_connection_stops_and_another_one_goes_on(
    own_home: Path, postgres: str, words_alone: Path, small_case: Path
) -> None:
    import psycopg

    with agent_on(words_alone) as agent, agent_on(words_alone) as other:
        steps = agent.stream(small_case, site="colon", case_id="case-1")
        assert next(steps).name == "intake"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        trace = (agent.library.folder("case-1") / "trace.jsonl").read_bytes()
        with pytest.raises(LostCaseError, match="may have taken it over"):
            next(steps)
        assert (agent.library.folder("case-1") / "trace.jsonl").read_bytes() == trace
        entry = agent.library.entry("case-1")
        assert (entry.status, entry.comment) == ("running", None), "its status is not this worker's any more"
        assert [step.name for step in other.resume("case-1").steps] == STEPS


def test_a_platform_brings_its_library_and_its_checkpointer(
    own_home: Path, tmp_path: Path, words_alone: Path, small_case: Path
) -> None:
    saver, library = InMemorySaver(), load_case_library(tmp_path / "platform")
    with agent_on(words_alone, library=library, checkpointer=saver) as agent:
        assert agent.library is library
        steps = agent.stream(small_case, site="colon", case_id="case-1")
        next(steps)
        steps.close()
        assert list(saver.list(None))
    with agent_on(words_alone, library=library, checkpointer=saver) as agent:
        assert [step.name for step in agent.resume("case-1").steps] == STEPS
    assert list(saver.list(None)) == []
    assert {path.name for path in library.home.glob("*.sqlite")} == {"cases.sqlite"}
    assert not own_home.exists()
    with pytest.raises(InputError, match="not both"):
        agent_on(words_alone, library=library, home=tmp_path)
