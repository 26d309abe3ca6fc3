"""``videopath evaluate``: its commands, the one that may be left out, and what they refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import Result

Run = Callable[..., Result]


@pytest.mark.parametrize(
    "command",
    [
        "evaluate",
        "evaluate clips",
        "evaluate answers",
        "evaluate write-set",
        "evaluate retrieval",
        "evaluate report",
    ],
)
def test_every_command_has_help(command: str, videopath: Run) -> None:
    answer = videopath(*command.split(), "--help")
    assert answer.exit_code == 0
    assert "Usage" in answer.stdout


@pytest.mark.parametrize("command", [[], ["clips"]])
def test_options_without_a_command_are_those_of_clips(
    command: list[str], videopath: Run, tmp_path: Path
) -> None:
    asked = videopath("evaluate", *command)
    assert (asked.exit_code, "--data" in asked.stderr) == (2, True)
    refused = videopath("evaluate", *command, "--data", tmp_path, "--set", "atlas", "--calibrate")
    assert (refused.exit_code, "--calibrate" in refused.stderr) == (2, True)
    helped = videopath("evaluate", *command, "--data", tmp_path, "--help")
    assert (helped.exit_code, "--calibrate" in helped.stdout) == (0, True)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    (tmp_path / "case.mp4").write_bytes(b"no video")
    path = tmp_path / "set"
    path.write_text(json.dumps([{"question": "What?", "answer": "That.", "video_name": "case"}]))
    return path


def test_a_file_in_the_place_of_a_command_is_a_test_set(
    videopath: Run, questions: Path, tmp_path: Path
) -> None:
    helped = videopath("evaluate", questions, "--help")
    assert (helped.exit_code, "--controls" in helped.stdout) == (0, True)
    missing = videopath("evaluate", tmp_path / "gone.jsonl")
    said = "".join(missing.stderr.replace("│", "").split())  # a long name is broken over lines
    assert (missing.exit_code, "gone.jsonl" in said, "doesnot" in said) == (2, True, True)


def test_a_video_that_cannot_be_read_is_counted(videopath: Run, questions: Path, own_home: Path) -> None:
    """Without --out the answers are kept in the home folder; no question is answered, and the figures say so."""
    answer = videopath("evaluate", questions, "--system", "model")
    assert answer.exit_code == 0, answer.stderr
    assert "1 of 1" in answer.stdout
    (report,) = (own_home / "evaluations" / "answers").glob("set-*/report.json")
    (kept,) = (own_home / "evaluations" / "sets").glob("*.json")
    assert report.read_text() == kept.read_text()
    assert json.loads(report.read_text())["systems"][0]["failed"] == 1


def test_figures_need_no_package_for_plots(
    videopath: Run, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # as if it were not installed
    refused = videopath("evaluate", questions, "--system", "model", "--out", tmp_path / "no", "--html")
    assert (refused.exit_code, "pip install" in refused.stderr) == (2, True)
    answer = videopath("evaluate", questions, "--system", "model", "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.stderr
    assert "report.html was not written" in answer.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("report.*")) == ["report.json"]


def test_plots_are_left_out_where_they_are_not_wanted(
    videopath: Run, questions: Path, tmp_path: Path
) -> None:
    answer = videopath("evaluate", questions, "--system", "model", "--out", tmp_path, "--no-html")
    assert (answer.exit_code, (tmp_path / "report.html").exists()) == (0, False)


def test_a_system_that_answered_nothing_is_named(videopath: Run, questions: Path, tmp_path: Path) -> None:
    answer = videopath("evaluate", questions, "--system", "model", "--out", tmp_path, "--no-html")
    assert "The system model answered none of the 1 questions" in " ".join(answer.stdout.split())


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--system", "both"], "agent, model, blind"),
        (["--control", "dark"], "blank, other-video"),
        (["--judge", "nobody"], "not a judge"),
        (["--judge", "http://127.0.0.1:9/v1#m"], "cannot be reached"),
        (["--parser", "loose"], "strict, published"),
        (["--knowledge", "/nowhere/at-all", "--system", "agent"], "at-all"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is(
    options: list[str], word: str, videopath: Run, questions: Path, tmp_path: Path
) -> None:
    answer = videopath("evaluate", questions, "--out", tmp_path / "out", *options)
    assert answer.exit_code in (1, 2)
    (sentence,) = [line for line in answer.stderr.splitlines() if line.strip()]
    assert sentence.startswith("Error: ")
    assert word in sentence
    assert not list(tmp_path.glob("out/*/*"))


def test_two_runs_do_not_write_to_one_folder(videopath: Run, questions: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        answer = videopath("evaluate", questions, "--out", tmp_path / "out", "--system", "model")
    assert (answer.exit_code, "Another evaluation is writing to" in answer.stderr) == (2, True)
    assert not (tmp_path / "out" / "model").exists()


def test_a_set_is_written_of_tiles_alone(videopath: Run, tmp_path: Path) -> None:
    answer = videopath("evaluate", "write-set", "--data", tmp_path, "--out", tmp_path / "set")
    assert (answer.exit_code, "manifest.csv" in answer.stderr) == (2, True)


def test_a_misspelt_command_is_not_taken_for_an_option(videopath: Run) -> None:
    answer = videopath("evaluate", "retrival")
    assert answer.exit_code == 2
    assert "retrival" in answer.stderr


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--fit", "--split", "calibration"], "--fit"),
        (["--agent", "--set", "wsi"], "--agent"),
        (["--rules"], "--agent"),
        (["--set", "atlas"], "tiles, wsi, all"),
        (["--set", "wsi"], "--text"),
        (["--set", "tiles"], "manifest.csv"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_sentence(
    options: list[str], word: str, videopath: Run, tmp_path: Path
) -> None:
    answer = videopath("evaluate", "retrieval", "--data", tmp_path, *options)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    (sentence,) = [line for line in answer.stderr.splitlines() if line.strip()]
    assert sentence.startswith("Error: ")
    assert word in sentence
