"""``videopath evaluate``: its commands, the one that may be left out, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.mark.parametrize("command", ["evaluate", "evaluate clips", "evaluate retrieval"])
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
