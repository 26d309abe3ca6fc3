"""The command line: exit codes, what goes to stdout and what to stderr, and cases from begin to end."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import Result

from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import CaseReport
from videopath.app.cli.console import StepDisplay, plain
from videopath.app.cli.errors import os_sentence
from videopath.app.cli.running import exit_code
from videopath.core.notice import RESEARCH_USE

Run = Callable[..., Result]

HEAVY = (
    "torch",
    "transformers",
    "faiss",
    "sentence_transformers",
    "langgraph",
    "cv2",
    "decord",
    "av",
    "numpy",
    "pydantic",
)


@pytest.mark.parametrize(
    "command",
    [
        "", "demo", "diagnose", "evaluate", "train", "doctor",
        "cases", "cases list", "cases show", "cases audit", "cases ask", "cases resume", "cases sign", "cases addendum", "cases learn", "cases export", "cases delete", "cases replay",
        "knowledge", "knowledge build", "knowledge add", "knowledge remove", "knowledge search", "knowledge info", "knowledge verify",
        "knowledge audit", "knowledge update", "knowledge edit", "knowledge history", "knowledge log", "knowledge merge",
        "model", "model info", "model convert", "model merge", "dataset", "dataset check", "dataset lessons",
    ],
)  # fmt: skip
def test_every_command_has_help(command: str, videopath: Run) -> None:
    answer = videopath(*command.split(), "--help")
    assert answer.exit_code == 0
    assert "Usage" in answer.stdout


def test_version(videopath: Run) -> None:
    assert videopath("--version").stdout.count(".") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["diagnose", "no-such.mp4"], 2, "no-such.mp4"),
        (["diagnose", __file__, "--site", "elbow"], 2, "elbow"),
        (["diagnose", __file__, "--question", " "], 2, "empty"),
        (["diagnose", __file__, "--question", "x" * 100_000], 2, "100,000"),
        (["diagnose", __file__, "--review", "often"], 2, "uncertain"),
        (["diagnose", __file__, "--out", __file__], 2, "is a file"),
        (["diagnose", __file__, "--out", f"{__file__}/out"], 2, "cannot be written"),
        (["cases", "show", "nobody"], 1, "no case nobody"),
        (["cases", "show", "../nobody"], 1, "not a case id"),
        (["cases", "ask", "nobody", "Why?"], 1, "no case nobody"),
        (["cases", "resume", "nobody", "--action", "edit"], 2, "--diagnosis"),
        (["cases", "resume", "nobody", "--diagnosis", "x"], 2, "--action edit"),
        (["cases", "resume", "nobody", "--action", "revise"], 2, "--finding"),
        (["cases", "resume", "nobody", "--action", "revise", "--diagnosis", "x"], 2, "--action edit"),
        (
            ["cases", "resume", "nobody", "--action", "edit", "--diagnosis", "x", "--drop", "y"],
            2,
            "--action revise",
        ),
        (["cases", "resume", "nobody", "--action", "revise", "--segment", "4-2"], 2, "START-END"),
        (["cases", "export", "nobody", "--format", "docx"], 2, "pdf"),
        (["cases", "replay", __file__, __file__], 2, "not a readable bundle"),
        (["knowledge", "search", " "], 2, "empty"),
        (["knowledge", "info", "no-such-folder"], 1, "no-such-folder"),
        (["model", "info", "no-such-folder/model"], 1, "no-such-folder"),
    ],
)
def test_an_error_is_one_sentence_on_stderr(
    arguments: list[str], code: int, word: str, videopath: Run
) -> None:
    answer = videopath(*arguments)
    assert answer.exit_code == code, answer.stderr
    assert answer.stdout == ""
    errors = [line for line in answer.stderr.splitlines() if line.strip()]
    assert len(errors) == 1
    assert errors[0].startswith("Error: ")
    assert word in errors[0]


@pytest.mark.parametrize(
    "arguments", [["diagnose"], ["diagnose", "x", "--frames", "0"], ["nothing"], ["cases", "sign", "x"]]
)
def test_wrong_usage_is_2(arguments: list[str], videopath: Run) -> None:
    answer = videopath(*arguments)
    assert answer.exit_code == 2
    assert answer.stdout == ""


def test_what_the_system_refuses_becomes_a_sentence() -> None:
    full = os_sentence(OSError(errno.ENOSPC, "No space left on device", "/home/x"))
    assert "full" in full
    assert "/home/x" in full
    for code in (errno.EACCES, errno.EROFS):
        assert "VIDEOPATH_HOME" in os_sentence(OSError(code, os.strerror(code), "/home/x"))
    assert "Is a directory" in os_sentence(OSError(errno.EISDIR, "Is a directory"))


def test_an_unforeseen_error_shows_no_traceback() -> None:
    script = """
import sys
from videopath.app.cli.commands.cases import browsing
from videopath.app.cli.main import main
browsing.open_library = lambda: 1 / 0
sys.argv = ["videopath", "cases", "list"]
main()
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    assert "ZeroDivisionError" in answer.stderr
    assert "--verbose" in answer.stderr


def test_texts_cannot_steer_the_terminal() -> None:
    console = Console(force_terminal=True, record=True, file=open(os.devnull, "w"), width=200)  # noqa: SIM115, PTH123
    console.print(plain("[bold]x[/bold] \x1b[31mred\x07"))
    console.file.close()
    shown = console.export_text()
    assert "[bold]x[/bold]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_the_display_shows_work_and_tokens_on_a_terminal() -> None:
    from videopath.agent.cases.records import Step

    console = Console(force_terminal=True, record=True, file=open(os.devnull, "w"), width=120)  # noqa: SIM115, PTH123
    with StepDisplay(console) as display:
        display.working("describe")
        for piece in ("Crowded ", "[glands]"):
            display.token(piece)
        display.finished(
            Step(name="describe", summary="[i]glands[/i]", started="", seconds=1.5, device="cpu")
        )
    console.file.close()
    assert "[i]glands[/i]" in console.export_text()


@pytest.mark.parametrize(
    ("status", "strict", "code"),
    [
        ("done", True, 0),
        ("abstained", False, 0),
        ("abstained", True, 4),
        ("waiting for review", True, 3),
        ("failed", False, 1),
    ],
)
def test_exit_codes(status: str, strict: bool, code: int) -> None:
    assert exit_code(CaseReport(case_id="x", status=status), strict) == code


@pytest.mark.slow
def test_a_case_from_video_to_signature(
    videopath: Run, checkpoint: Path, sample: Path, tmp_path: Path, own_home: Path
) -> None:
    out = tmp_path / "out"
    answer = videopath(
        "diagnose", sample, "--site", "colon", "--model", checkpoint, "--out", out, "--json",
        "--exclude", "starter/colon-adenocarcinoma-1", "--exclude", " P 7 ",
    )  # fmt: skip
    assert answer.exit_code == 0, answer.stderr
    report = CaseReport.from_json(answer.stdout)  # one document, nothing else
    assert report.notice == RESEARCH_USE
    assert report.settings.exclude == ["starter/colon-adenocarcinoma-1", "P 7"]
    assert [(left.id, left.reason) for left in report.excluded] == [
        ("starter/colon-adenocarcinoma-1", "source")
    ]
    for step in report.steps:
        assert f"✓ {step.name}" in answer.stderr
    case_id = report.case_id
    assert read_bundle(out / f"{case_id}.zip").problems == []
    assert CaseReport.from_json((out / "report.json").read_bytes()) == report.without_paths()
    assert all((out / finding.image).is_file() for finding in report.findings), "the links of report.md"

    listed = json.loads(videopath("cases", "list", "--json").stdout)
    assert [(entry["case_id"], entry["site"]) for entry in listed] == [(case_id, "colon")]
    assert case_id in videopath("cases", "list").stdout
    assert RESEARCH_USE in " ".join(videopath("cases", "show", case_id).stdout.split())
    assert videopath("cases", "show", case_id, "--json").stdout == report.to_json()
    assert videopath("cases", "show", case_id, "--markdown").stdout == report.to_markdown()
    steps = json.loads(videopath("cases", "show", case_id, "--trace", "--json").stdout)
    assert [step["name"] for step in steps] == [step.name for step in report.steps]

    bundle = tmp_path / "case.zip"
    assert videopath("cases", "export", case_id, bundle).stdout.strip() == str(bundle)
    starts = {"pdf": b"%PDF", "html": b"<!DOCTYPE html>", "md": b"# Case", "json": b"{", "zip": b"PK"}
    for form, start in starts.items():
        written = videopath("cases", "export", case_id, tmp_path, "--format", form).stdout.strip()
        assert written == str(tmp_path / f"{case_id}.{form}")
        assert Path(written).read_bytes().startswith(start)
    assert videopath("cases", "export", case_id, tmp_path / "by-name.PDF").exit_code == 0
    assert (tmp_path / "by-name.PDF").read_bytes().startswith(b"%PDF")
    replayed = videopath("cases", "replay", bundle, sample, "--model", checkpoint)
    assert replayed.exit_code == 0, replayed.stdout + replayed.stderr
    assert "Nothing differs." in replayed.stdout
    assert [entry.case_id for entry in load_case_library().list()] == [
        case_id
    ]  # the replay left nothing here

    signed = videopath(
        "cases", "sign", case_id, "--reviewer", "Dr. A", "--diagnosis", "colon adenocarcinoma", "--json"
    )
    assert CaseReport.from_json(signed.stdout).review[-1].reviewer == "Dr. A"
    again = videopath("cases", "sign", case_id, "--reviewer", "Dr. B")
    assert (again.exit_code, again.stdout) == (1, "")
    learnt = videopath(
        "cases", "learn", case_id, tmp_path / "own", "--confirm", "--patient", "P-7", "--group", "ward 3"
    )
    assert learnt.exit_code == 0, learnt.stderr
    found = json.loads(videopath("knowledge", "search", "glands", "-k", tmp_path / "own", "--json").stdout)
    assert learnt.stdout.strip() in json.dumps(found)
    left_out = videopath(
        "knowledge", "search", "glands", "-k", tmp_path / "own", "--exclude", "P-7", "--json"
    ).stdout
    assert not json.loads(left_out)["hits"]
    assert videopath("cases", "learn", case_id, tmp_path / "own", "--confirm").exit_code == 1, (
        "it is there already"
    )
    assert videopath("cases", "delete", case_id).exit_code == 2
    assert videopath("cases", "delete", case_id, "--yes", "--by", "Dr Ash").exit_code == 0
    (deletion,) = json.loads(videopath("cases", "audit", "--json").stdout)
    assert (deletion["case_id"], deletion["who"], deletion["what"]) == (case_id, "Dr Ash", "deleted")
    assert "Dr Ash" in videopath("cases", "audit", case_id).stdout
    assert not (own_home / "cases" / case_id).exists()
    assert json.loads(videopath("cases", "list", "--json").stdout) == []


def test_a_long_table_looks_like_a_short_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from videopath.app.cli import console

    rows = [("case-1", "done", ""), ("症例-2", "waiting for\u202e review", "[b]x"), ("", "", "90%")]
    console.print_table(("case", "status", "words"), rows)
    short = capsys.readouterr().out
    monkeypatch.setattr(console, "_LONG", 2)
    console.print_table(("case", "status", "words"), rows)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        line.rstrip() for line in short.splitlines()
    ]
    assert "[b]x" in short


def test_the_newest_cases_alone_are_listed(videopath: Run, own_home: Path) -> None:
    library = load_case_library(own_home)
    for number in range(5):
        library.start(f"case-{number}", "a.mp4", "colon" if number else "lung", "nano")

    def ids(*options: str) -> list[str]:
        listed = videopath("cases", "list", "--json", *options)
        return [case["case_id"] for case in json.loads(listed.stdout)]

    assert ids("--limit", "2") == ids()[:2]
    assert ids("--limit", "9", "--site", "lung", "--status", "interrupted") == ["case-0"]
    assert ids("--limit", "9", "--status", "failed") == []
    assert videopath("cases", "list", "--limit", "0").exit_code == 2


@pytest.mark.slow
def test_a_replay_tells_what_differs(
    videopath: Run, checkpoint: Path, sample: Path, tmp_path: Path, shared_case: CaseReport
) -> None:
    changed = shared_case.model_copy(deep=True)
    changed.description += " And more."
    changed.confidence = (
        min(1.0, changed.confidence + 0.01) if changed.confidence < 0.5 else changed.confidence - 0.01
    )
    changed.differential[0].probability -= 0.0002
    bundle = changed.save_bundle(tmp_path / "changed.zip")
    answer = videopath("cases", "replay", bundle, sample, "--model", checkpoint, "--json")
    assert answer.exit_code == 1
    fields = {difference["field"] for difference in json.loads(answer.stdout)["differences"]}
    assert fields == {"description", "confidence", f"differential: {changed.differential[0].label}"}

    other = tmp_path / "other.mp4"
    other.write_bytes(sample.read_bytes() + b"\0")
    refused = videopath("cases", "replay", bundle, other)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "not the video of the case" in refused.stderr


@pytest.fixture
def shared_case(videopath: Run, checkpoint: Path, sample: Path) -> CaseReport:
    """A finished case."""
    answer = videopath("diagnose", sample, "--site", "colon", "--model", checkpoint, "--json")
    assert answer.exit_code == 0, answer.stderr
    return CaseReport.from_json(answer.stdout)


@pytest.mark.slow
def test_a_review_is_waited_for_and_answered(
    videopath: Run, checkpoint: Path, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = videopath(
        "diagnose", sample, "--site", "colon", "--model", checkpoint, "--review", "always", "--json"
    )
    assert answer.exit_code == 3, answer.stderr
    report = CaseReport.from_json(answer.stdout)
    assert report.status == "waiting for review"
    assert f"videopath cases resume {report.case_id}" in answer.stderr
    assert videopath("cases", "resume", report.case_id).exit_code == 3
    assert videopath("cases", "sign", report.case_id, "--reviewer", "Dr. A").exit_code == 1

    words = ["--finding", "Crowded glands.", "--finding", "Necrosis."]
    revised = videopath("cases", "resume", report.case_id, "--action", "revise", *words, "--json")
    assert revised.exit_code == 3, revised.stderr
    revision = CaseReport.from_json(revised.stdout)
    assert [finding.text for finding in revision.findings] == words[1::2]
    drop = ["--drop", revision.similar_cases[0].id, "--segment", "1-2.5"]
    revised = videopath("cases", "resume", report.case_id, "--action", "revise", *drop)
    assert revised.exit_code == 3, revised.stderr
    bundle = videopath("cases", "export", report.case_id).stdout.strip()
    replayed = videopath("cases", "replay", bundle, sample, "--model", checkpoint)
    assert (replayed.exit_code, replayed.stdout) == (0, "Nothing differs.\n")

    decision = ["--action", "edit", "--diagnosis", "tubular adenoma", "--reviewer", "Dr. A", "--json"]
    resumed = videopath("cases", "resume", report.case_id, *decision)
    assert resumed.exit_code == 0, resumed.stderr
    final = CaseReport.from_json(resumed.stdout)
    assert (final.status, final.diagnosis) == ("signed", "tubular adenoma")
    repeated = videopath("cases", "resume", report.case_id, *decision)
    assert (repeated.exit_code, repeated.stdout) == (1, "")


@pytest.mark.slow
def test_an_adapter_diagnoses_on_its_base_and_its_cases_resume_with_it(
    videopath: Run, shared: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath.app.cli.running import AgentOptions, load_agent

    tiny = shared / "golden" / "ckpt" / "tiny"
    adapter = tiny / "lora" / "llava-qwen-lora-peft04-classic"
    asked = ["diagnose", sample, "--site", "colon", "--model", adapter, "--frames", 2]
    alone = videopath(*asked)
    assert alone.exit_code == 1
    assert "--base" in alone.stderr
    assert load_case_library().list() == []

    monkeypatch.chdir(tiny)
    answer = videopath(*asked, "--base", "full", "--json")
    assert answer.exit_code == 0, answer.stderr
    first = CaseReport.from_json(answer.stdout)
    assert first.settings.base == str((tiny / "full").resolve())
    monkeypatch.setenv("VIDEOPATH_MODEL", str(adapter))
    monkeypatch.setenv("VIDEOPATH_BASE", str(tiny / "full"))
    with load_agent(AgentOptions(frames=2)) as agent:
        case_id = agent.begin(sample, site="colon")
    monkeypatch.delenv("VIDEOPATH_MODEL")
    monkeypatch.delenv("VIDEOPATH_BASE")
    resumed = videopath("cases", "resume", case_id, "--json")
    assert resumed.exit_code == 0, resumed.stderr
    second = CaseReport.from_json(resumed.stdout)
    assert second.settings == first.settings
    assert (second.description, second.diagnosis) == (first.description, first.diagnosis)
    assert second.provenance["weights"] == first.provenance["weights"]


def test_a_base_is_that_of_the_model_it_was_given_with(
    checkpoint: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath.agent import DiagnosticAgent
    from videopath.agent.replay import settings_of
    from videopath.app.cli.running import AgentOptions, chosen_spec, load_agent
    from videopath.core.errors import InputError
    from videopath.model import load_engine

    monkeypatch.setenv("VIDEOPATH_BASE", "some/base")
    for options, base in ((AgentOptions(), "some/base"), (AgentOptions(chosen_spec("nano")), None)):
        with load_agent(options) as agent:
            assert settings_of(agent.library, agent.begin(sample)).base == base
    with pytest.raises(InputError, match="takes no base"):
        DiagnosticAgent.load(load_engine(checkpoint), base="some/base")


STANDS_STILL = """
import signal, sys, time
from videopath.app.cli.main import main
from videopath.model.inference.session import LocalSession

def stand_still(*_, **__):
    print("standing still", file=sys.stderr, flush=True)
    time.sleep(600)

LocalSession.generate = stand_still
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
main()
"""
"""The command, standing still at its first question to the model."""


@pytest.mark.slow
def test_an_interrupted_case_says_how_to_go_on_and_does(
    videopath: Run, checkpoint: Path, sample: Path, own_home: Path
) -> None:
    command = [sys.executable, "-c", STANDS_STILL, "diagnose", str(sample), "--model", str(checkpoint)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = list(takewhile(lambda line: line != "standing still\n", process.stderr))
        assert "intake" in told[0]
        process.send_signal(signal.SIGINT)
        stdout, rest = process.communicate(timeout=120)
    assert process.returncode == 130, rest
    assert stdout == ""
    (case_id,) = (entry.case_id for entry in load_case_library().list())
    assert f"videopath cases resume {case_id}" in rest
    assert "Traceback" not in rest

    before = (own_home / "cases" / case_id / "trace.jsonl").read_text().splitlines()[0]
    resumed = videopath("cases", "resume", case_id, "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert CaseReport.from_json(resumed.stdout).status in ("done", "abstained")
    assert (own_home / "cases" / case_id / "trace.jsonl").read_text().splitlines()[0] == before


def test_checkpoints_are_told_and_converted(videopath: Run, checkpoint: Path, tmp_path: Path) -> None:
    told = json.loads(videopath("model", "info", checkpoint, "--json").stdout)
    assert told["layout"] == "original"
    target = tmp_path / "converted"
    assert videopath("model", "convert", checkpoint, target).exit_code == 0
    assert json.loads(videopath("model", "info", target, "--json").stdout)["layout"] == "huggingface"
    assert "layout" in videopath("model", "info", target).stdout


def test_a_merged_adapter_is_what_the_original_merges(videopath: Run, shared: Path, tmp_path: Path) -> None:
    import torch

    from videopath.model import open_checkpoint

    golden = shared / "golden" / "ckpt" / "tiny"
    adapter = golden / "lora" / "llava-qwen-lora-peft04-fork"
    target = tmp_path / "merged"
    answer = videopath("model", "merge", adapter, target, "--base", golden / "full")
    assert answer.exit_code == 0, answer.stderr
    ours, theirs = (open_checkpoint(f).weights for f in (target, golden / "merged_fp16_peft04_fork"))
    assert set(ours.shapes) == set(theirs.shapes)
    for name, shape in ours.shapes.items():
        assert torch.equal(ours.read(name), theirs.read(name)[: shape[0]]), name
    assert videopath("model", "merge", adapter, target, "--base", golden / "full").exit_code == 2


def test_help_loads_nothing_heavy() -> None:
    """How long it takes is measured by benchmarks/startup.py."""
    command = [sys.executable, "-X", "importtime", "-m", "videopath.app.cli", "--help"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {
        "torch",
        "transformers",
        "streamlit",
        "langgraph",
        "faiss",
        "numpy",
        "cv2",
        "av",
        "pydantic",
    }
