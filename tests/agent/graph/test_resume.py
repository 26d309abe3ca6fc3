"""A case whose process is killed with ``kill -9`` goes on where it was: no finished step or model call is repeated."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from videopath.agent import CaseReport, DiagnosticAgent, Policy
from videopath.agent.cases.trace import read_trace
from videopath.core.errors import CaseError, InputError

CHILD = Path(__file__).with_name("killed_case.py")
POLICY = Policy(max_looks=0, samples=2, description_tokens=24, answer_tokens=12)
STEPS = ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def agent(home: Path, small_checkpoint: Path, words_alone: Path):
    with DiagnosticAgent.load(
        small_checkpoint, words_alone, policy=POLICY, device="cpu", dtype="float32", home=home
    ) as agent:
        yield agent


@pytest.fixture(scope="module")
def reference(agent: DiagnosticAgent, small_case: Path) -> CaseReport:
    """The same case without a kill."""
    return agent.diagnose(small_case, site="colon", case_id="reference")


def calls(agent: DiagnosticAgent, case_id: str) -> list[str]:
    lines = (agent.library.folder(case_id) / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["key"] for line in lines]


def run_and_kill(
    home: Path, checkpoint: Path, knowledge: Path, video: Path, case_id: str, point: str
) -> None:
    command = [sys.executable, str(CHILD), *map(str, (home, checkpoint, knowledge, video)), case_id, point]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        reached = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        complaint = child.stderr.read()
    assert reached == "here\n", complaint
    assert child.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "finished"),
    [("retrieve", STEPS[:3]), ("call 4", STEPS[:4])],
    ids=["between nodes", "during diagnose, after one of its calls"],
)
def test_a_killed_case_goes_on_where_it_was(
    agent: DiagnosticAgent,
    reference: CaseReport,
    home: Path,
    small_checkpoint: Path,
    words_alone: Path,
    small_case: Path,
    point: str,
    finished: list[str],
) -> None:
    case_id = "killed-" + point.replace(" ", "-")
    run_and_kill(home, small_checkpoint, words_alone, small_case, case_id, point)
    folder = agent.library.folder(case_id)
    trace = (folder / "trace.jsonl").read_bytes()
    assert [step.name for step in read_trace(folder / "trace.jsonl")] == finished, "readable while it runs"
    journal = folder / "calls.jsonl"
    asked = journal.read_bytes() if journal.exists() else b""
    assert len(asked.splitlines()) == {"call 1": 0, "retrieve": 6, "call 4": 7}[point]
    assert agent.library.entry(case_id).status == "running"

    further = [step.name for step in agent.stream_resume(case_id)]

    assert further == STEPS[len(finished) :], "a finished step is not run again"
    assert (folder / "trace.jsonl").read_bytes().startswith(trace)
    assert journal.read_bytes().startswith(asked)
    assert sorted(calls(agent, case_id)) == sorted(calls(agent, "reference")), "each call once, none twice"
    report = agent.report(case_id)
    assert [step.name for step in report.steps] == STEPS
    assert (report.diagnosis, report.description) == (reference.diagnosis, reference.description)
    assert report.findings == reference.findings
    assert [c.label for c in report.differential] == [c.label for c in reference.differential]
    assert report.confidence == pytest.approx(reference.confidence, abs=1e-4)


def test_every_model_call_is_asked_once(agent: DiagnosticAgent, reference: CaseReport) -> None:
    keys = calls(agent, "reference")
    assert len(keys) == len(set(keys)) >= 7


def test_the_reference_case_is_whole(agent: DiagnosticAgent, reference: CaseReport, tmp_path: Path) -> None:
    assert [step.name for step in reference.steps] == STEPS
    assert reference.provenance["weights"]
    assert reference.save_bundle(tmp_path / "case.zip").stat().st_size > 1000


def test_only_one_process_works_on_a_case(agent: DiagnosticAgent, small_case: Path) -> None:
    stream = agent.stream(small_case, site="colon", case_id="busy")
    next(stream)
    with pytest.raises(CaseError, match="works on case"):
        agent.resume("busy")
    stream.close()
    assert agent.resume("busy").status in ("done", "abstained")


def test_a_video_that_changed_meanwhile_is_refused(
    agent: DiagnosticAgent, small_case: Path, tmp_path: Path
) -> None:
    from videopath.media.synthetic import render_case

    video = tmp_path / "case.mp4"
    video.write_bytes(small_case.read_bytes())
    stream = agent.stream(video, site="colon", case_id="swapped")
    next(stream)
    stream.close()
    render_case(video, "benign colon tissue", seed=3, seconds=6, size=(320, 256))
    with pytest.raises(InputError, match="not the file that the case began with"):
        agent.resume("swapped")
    assert agent.library.entry("swapped").status == "failed"


def test_a_case_killed_between_its_inputs_and_its_first_step_goes_on(
    agent: DiagnosticAgent, small_case: Path, home: Path
) -> None:
    steps = agent.stream(small_case, site="colon", case_id="barely")
    next(steps)
    steps.close()
    own = "FROM checkpoints WHERE thread_id = 'barely'"
    with sqlite3.connect(home / "checkpoints.sqlite") as database:  # as a kill leaves it: the inputs alone
        database.execute(f"DELETE {own} AND checkpoint_id > (SELECT min(checkpoint_id) {own})")
        database.execute(
            f"DELETE FROM writes WHERE thread_id = 'barely' AND checkpoint_id NOT IN (SELECT checkpoint_id {own})"
        )
    assert [step.name for step in agent.resume("barely").steps] == STEPS


def test_a_case_killed_before_its_first_checkpoint_begins_with_its_inputs(
    agent: DiagnosticAgent, small_case: Path
) -> None:
    from videopath.agent.agent import INPUTS_NAME
    from videopath.agent.loading import load_nodes
    from videopath.model.inference.spec import EngineSpec

    settings = load_nodes(EngineSpec(), None, POLICY).settings.model_dump(mode="json")
    folder = agent.library.start("early", str(small_case), "colon", "small")
    with pytest.raises(CaseError, match="before it started"):
        agent.resume("early")
    inputs = {
        "video": str(small_case),
        "site": "colon",
        "question": None,
        "case_id": "early",
        "settings": settings,
    }
    for damage in (b"{", b"[]", b"{}", b"\xff", b"[" * 100_000):
        (folder / INPUTS_NAME).write_bytes(damage)
        with pytest.raises(CaseError, match=INPUTS_NAME):
            agent.resume("early")
    (folder / INPUTS_NAME).write_text(json.dumps(inputs), encoding="utf-8")
    assert [step.name for step in agent.resume("early").steps] == STEPS


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("checkpoint", "X'00FF'"),
        ("checkpoint", "X'81A5766964656F07'"),
        ("checkpoint", "'x'"),
        ("metadata", "'{}'"),
        ("metadata", """'{"step": {}}'"""),
    ],
)
def test_damaged_checkpoints_are_told(
    agent: DiagnosticAgent, small_case: Path, column: str, value: str
) -> None:
    case_id = f"damaged-{column}-{len(value)}"
    stream = agent.stream(small_case, site="colon", case_id=case_id)
    next(stream)
    stream.close()
    with closing(sqlite3.connect(agent.library.home / "checkpoints.sqlite")) as database, database:
        statement = f"UPDATE checkpoints SET {column} = {value} WHERE thread_id = ?"  # noqa: S608
        database.execute(statement, (case_id,))
    for use in (agent.resume, agent.pending):
        with pytest.raises(CaseError, match=r"checkpoints of case .* cannot be used"):
            use(case_id)
