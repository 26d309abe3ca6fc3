"""Cases, knowledge bases, bundles and checkpoints of commit 0847add, before the modules moved, open as before.

Only public names and the command line are used, so the same test runs with the code of that commit.
``fixtures/before_the_move/README.md`` says how the files were made.
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from videopath.agent import CaseReport, DiagnosticAgent, load_case_library
from videopath.knowledge import InstructionRecord, KnowledgeBase, Query
from videopath.model import inspect_checkpoint, load_engine, load_network, open_checkpoint, open_clip

_MADE = Path(__file__).parent / "fixtures" / "before_the_move"
_VIDEO = Path("/tmp/before_the_move/case.mp4")
"""Where the video lay: the cases, their checkpoints and journals name it by its whole path."""


class Answer(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files; it is the working folder, and its library is the one that commands use."""
    copy = Path(shutil.copytree(_MADE, tmp_path / "before"))
    monkeypatch.chdir(copy)
    monkeypatch.setenv("VIDEOPATH_HOME", str(copy / "home"))
    return copy


@pytest.fixture
def expected() -> dict[str, Any]:
    """What the code of that commit said of the files."""
    return json.loads((_MADE / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def video() -> Path:
    """The video where the cases look for it. It stays there, since another test run may use it too."""
    content = (_MADE / "case.mp4").read_bytes()
    if not (_VIDEO.is_file() and _VIDEO.read_bytes() == content):
        _VIDEO.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=_VIDEO.parent, delete=False) as part:
            part.write(content)
        Path(part.name).chmod(0o644)
        Path(part.name).replace(_VIDEO)
    return _VIDEO


@pytest.fixture
def videopath(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The installed command, run in this process."""
    (command,) = {
        entry.value: entry for entry in entry_points(group="console_scripts", name="videopath")
    }.values()
    main = command.load()

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["videopath", *map(str, arguments)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the command puts its own in this place
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        gc.unfreeze()
        return Answer(int(left.value.code or 0), *capsys.readouterr())

    return run


def case_of(home: Path, status: str) -> str:
    """The id of the only case in a state."""
    (entry,) = (entry for entry in load_case_library(home).list() if entry.state == status)
    return entry.case_id


def lost(then: Any, now: Any, place: str = "") -> list[str]:
    """The places of JSON ``then`` that ``now`` has not or has otherwise. Fields that were added later are not counted."""
    if isinstance(then, dict) and isinstance(now, dict):
        gone = [f"{place}.{name}" for name in then if name not in now]
        return gone + [one for n in then if n in now for one in lost(then[n], now[n], f"{place}.{n}")]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [
            one for n, pair in enumerate(zip(then, now, strict=True)) for one in lost(*pair, f"{place}[{n}]")
        ]
    return [] if then == now else [place]


def steps_of(text: str | bytes) -> list[Any]:
    """The steps of a trace."""
    return [json.loads(line) for line in text.splitlines()]


def test_the_library_lists_its_cases(before: Path, videopath: Run) -> None:
    answer = videopath("cases", "list", "--json")
    assert answer.code == 0, answer.err
    listed = {entry["state"]: entry for entry in json.loads(answer.out)}
    assert set(listed) == {"signed", "waiting for review", "interrupted"}
    assert listed["signed"]["signed_by"] == "A. Reviewer"
    assert listed["waiting for review"]["diagnosis"] == "colon adenocarcinoma"
    assert {entry["video"] for entry in listed.values()} == {str(_VIDEO)}


@pytest.mark.parametrize("status", ["signed", "waiting for review"])
def test_a_report_says_what_it_said(before: Path, videopath: Run, status: str) -> None:
    case_id = case_of(before / "home", status)
    folder = before / "home" / "cases" / case_id
    then = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert then["status"] == status
    shown = videopath("cases", "show", case_id, "--json")
    assert shown.code == 0, shown.err
    assert lost(then, json.loads(shown.out)) == []
    trace = videopath("cases", "show", case_id, "--trace", "--json")
    assert lost(steps_of((folder / "trace.jsonl").read_bytes()), json.loads(trace.out)) == []
    markdown = videopath("cases", "show", case_id, "--markdown")
    assert all(finding["text"] in markdown.out for finding in then["findings"])
    report = load_case_library(before / "home").get(case_id)
    assert report.to_pdf().startswith(b"%PDF")
    assert all((folder / finding.image).is_file() for finding in report.findings if finding.image)


def test_the_signed_case_makes_the_same_bundle_and_takes_an_addendum(before: Path, videopath: Run) -> None:
    case_id = case_of(before / "home", "signed")
    exported = videopath("cases", "export", case_id, "again.zip")
    assert exported.code == 0, exported.err
    with zipfile.ZipFile(before / "bundle.zip") as then, zipfile.ZipFile(before / "again.zip") as now:
        assert now.namelist() == then.namelist()
        assert lost(json.loads(then.read("report.json")), json.loads(now.read("report.json"))) == []
        assert lost(steps_of(then.read("trace.jsonl")), steps_of(now.read("trace.jsonl"))) == []
        frames = [name for name in then.namelist() if name.startswith("frames/")]
        assert frames
        assert all(then.read(name) == now.read(name) for name in frames)
    added = videopath("cases", "addendum", case_id, "--reviewer", "B. Reviewer", "--text", "CDX2.", "--json")
    assert added.code == 0, added.err
    report = CaseReport.from_json(added.out)
    assert (report.status, [one.text for one in report.addenda]) == ("signed", ["CDX2."])


def test_the_waiting_case_is_accepted(before: Path, video: Path, videopath: Run) -> None:
    case_id = case_of(before / "home", "waiting for review")
    waiting = load_case_library(before / "home").get(case_id)
    answer = videopath(
        "cases", "resume", case_id, "--action", "accept", "--reviewer", "B. Reviewer", "--json"
    )
    assert answer.code == 0, answer.err
    report = CaseReport.from_json(answer.out)
    assert report.status == "signed"
    assert [(one.action, one.reviewer) for one in report.review] == [("accept", "B. Reviewer")]
    assert [step.name for step in report.steps[len(waiting.steps) :]] == ["review", "report"]
    assert report.steps[: len(waiting.steps)] == waiting.steps
    same = {
        "diagnosis",
        "differential",
        "confidence",
        "description",
        "findings",
        "similar_cases",
        "provenance",
    }
    assert report.model_dump(include=same) == waiting.model_dump(include=same)
    again = videopath("cases", "resume", case_id, "--action", "accept", "--reviewer", "C. Reviewer")
    assert again.code == 1, "one decision is given once"


def test_the_interrupted_case_goes_on_to_the_end_that_it_had(
    before: Path, video: Path, expected: dict[str, Any]
) -> None:
    then = expected["interrupted"]
    folder = before / "home" / "cases" / "interrupted"
    trace, calls = (folder / "trace.jsonl").read_bytes(), (folder / "calls.jsonl").read_bytes()
    with DiagnosticAgent.load(
        before / "checkpoint", before / "base", device="cpu", dtype="float32", home=before / "home"
    ) as agent:
        further = [step.name for step in agent.stream_resume("interrupted")]
        report = agent.report("interrupted")
    assert further == then["steps"][4:] == ["diagnose", "verify", "report"]
    assert (folder / "trace.jsonl").read_bytes().startswith(trace), "finished steps are not run again"
    assert (folder / "calls.jsonl").read_bytes().startswith(calls), "answers of the model are kept"
    assert [step.name for step in report.steps] == then["steps"]
    for name in ("status", "diagnosis", "blind_diagnosis", "description"):
        assert getattr(report, name) == then[name], name
    chances = {one["label"]: one["probability"] for one in then["differential"]}
    assert {one.label: one.probability for one in report.differential} == pytest.approx(chances, abs=1e-4)
    assert lost(then["findings"], [one.model_dump(mode="json") for one in report.findings]) == []
    assert [(one.id, one.kept, one.scores) for one in report.similar_cases] == [
        (one["id"], one["kept"], one["scores"]) for one in then["similar_cases"]
    ]


def test_the_knowledge_base_holds_and_finds_what_it_did(
    before: Path, videopath: Run, expected: dict[str, Any]
) -> None:
    then = expected["base"]
    base = KnowledgeBase.open("base")
    assert base.verify() == []
    assert lost(then["info"], base.info().model_dump(mode="json")) == []
    assert [(one.action, one.added, one.note) for one in base.changes()] == [
        ("build", 12, ""),
        ("add", 1, "without a picture"),
    ]
    assert base.measure is not None
    assert lost(then["measure"], base.measure.model_dump(mode="json")) == []
    by_text = base.search(then["by_text"]["query"], len(base))
    assert {hit.record.id: hit.score for hit in by_text} == pytest.approx(then["by_text"]["hits"], abs=1e-4)
    vectors = np.array([row.split() for row in then["by_picture"]["vectors"]], np.float32)
    by_picture = base.find(Query(image=vectors), len(base)).hits
    assert [hit.record.id for hit in by_picture] == list(then["by_picture"]["hits"])
    assert [hit.score for hit in by_picture] == pytest.approx(
        list(then["by_picture"]["hits"].values()), abs=1e-4
    )
    vote = base.vote(Query(image=vectors, site="colon"))
    assert vote is not None
    assert vote.shares == pytest.approx(then["by_picture"]["shares"], abs=1e-4)
    verified = videopath("knowledge", "verify", "base", "--json")
    assert (verified.code, json.loads(verified.out)["problems"]) == (0, [])
    measured = json.loads(videopath("knowledge", "measure", "base", "--json").out)
    assert lost(then["measure"], measured) == []


def test_the_knowledge_base_grows_and_shrinks(before: Path) -> None:
    base = KnowledgeBase.open("base")
    new = InstructionRecord(
        id="new", source="new", site="colon", question="What is the best diagnosis?", diagnosis="tubular adenoma",
        description="Elongated crowded tubules with pencil-like nuclei.", licence="Apache-2.0",
    )  # fmt: skip
    base.add([new])
    base.remove(["words"])
    assert base.verify() == []
    assert (base.info().version, len(base)) == (4, 13)
    assert KnowledgeBase.open("base").search("pencil-like nuclei in tubules", 1)[0].record == new


def test_the_checkpoint_is_the_network_that_it_was(before: Path, expected: dict[str, Any]) -> None:
    then = expected["checkpoint"]
    assert inspect_checkpoint("checkpoint").problems == []
    checkpoint = open_checkpoint("checkpoint")
    assert checkpoint.layout == "original"
    network = load_network("checkpoint")
    assert network.config.text_config["hidden_size"] == checkpoint.config().text_config["hidden_size"] == 32
    engine = load_engine("checkpoint", device="cpu", dtype="float32")
    assert (engine.info.name, engine.info.frames) == ("small", 2)
    with engine.open(open_clip("case.mp4", 2)) as session:
        assert session.score(then["question"], then["labels"]) == pytest.approx(then["scores"], abs=1e-3)


def test_the_stopped_training_goes_on(before: Path, videopath: Run, expected: dict[str, Any]) -> None:
    arguments = ("--recipe", "training/recipe.yaml", "--data", "training/data", "--out", "training/run")
    first = Path("training/run/projector/learned.safetensors")
    log = Path("training/run/adapter/trainer/log.jsonl")
    written, kept = first.stat().st_mtime_ns, log.read_text().splitlines()[:2]
    answer = videopath("train", *arguments, "--resume")
    assert answer.code == 0, answer.err
    assert first.stat().st_mtime_ns == written, "a stage that is done is not trained again"
    lines = log.read_text().splitlines()
    assert lines[:2] == kept, "the run goes on from its checkpoint at step 2"
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses == pytest.approx(expected["training"]["losses"], abs=1e-3)
    assert (
        load_network(answer.out.strip()).config == open_checkpoint("training/run/projector/original").config()
    )
    assert open_checkpoint("training/run/adapter/lora").layout == "lora"


@pytest.mark.slow
def test_the_waiting_case_is_revised(before: Path, video: Path, videopath: Run, nano_engine: Any) -> None:
    case_id = case_of(before / "home", "waiting for review")
    waiting = load_case_library(before / "home").get(case_id)
    words = ("--description", "Crowded glands with dirty necrosis.")
    revise = ("cases", "resume", case_id, "--action", "revise", "--reviewer", "B. Reviewer", *words, "--json")
    answer = videopath(*revise)
    if nano_engine.info.weights_sha256 != waiting.provenance["weights"]:
        assert answer.code == 1, (
            "nano has other weights now: a case goes on only with those it was begun with"
        )
        return
    assert answer.code == 3, answer.err
    report = CaseReport.from_json(answer.out)
    assert (report.status, report.description) == ("waiting for review", words[1])
    assert [look.revision for look in report.looks] == [0, 1]
    assert [step.name for step in report.steps][: len(waiting.steps) + 1][-1] == "review"


@pytest.mark.slow
def test_the_bundle_is_replayed(before: Path, videopath: Run, nano_engine: Any) -> None:
    with zipfile.ZipFile(before / "bundle.zip") as bundle:
        then = json.loads(bundle.read("report.json"))
    answer = videopath("cases", "replay", "bundle.zip", "case.mp4", "--device", "cpu", "--json")
    assert answer.out, answer.err
    told = json.loads(answer.out)
    assert told["problems"] == []
    parts = ("weights", "knowledge", "prompts")
    changed = [part for part in parts if told["report"]["provenance"][part] != then["provenance"][part]]
    differing = {one["field"] for one in told["differences"]}
    if changed:  # other weights, records or prompts than then: that is what a replay has to tell
        assert differing >= {f"provenance.{part}" for part in changed}
        assert answer.code == 1
    else:
        assert (differing, answer.code) == (set(), 0)
