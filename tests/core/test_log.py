"""The log: silent as a library, on stderr if the command line or the settings ask for it."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import videopath
from videopath.app.cli.console import quiet_libraries
from videopath.app.cli.errors import say_thread_error
from videopath.core.errors import InputError
from videopath.core.log import NAME, hide_log, log_fields, show_log, without_paths
from videopath.core.settings import load_settings

LOG = logging.getLogger(f"{NAME}.agent.test")


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("VIDEOPATH_HOME", str(tmp_path))
    monkeypatch.delenv("VIDEOPATH_LOG_LEVEL", raising=False)
    monkeypatch.delenv("VIDEOPATH_LOG_JSON", raising=False)
    yield
    hide_log()


def test_a_library_writes_no_log_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert videopath.__version__
    handlers = logging.getLogger(NAME).handlers
    assert [type(handler) for handler in handlers] == [logging.NullHandler]
    LOG.info("nothing")
    assert capsys.readouterr().err == ""


def test_a_line_has_time_level_and_room(capsys: pytest.CaptureFixture[str]) -> None:
    show_log("info")
    LOG.info("Case %s: begun.\x1b[2J", "a")
    LOG.debug("hidden")
    written = capsys.readouterr().err
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO videopath\.agent\.test: Case a: begun\.\ufffd\[2J\n"
    assert re.fullmatch(line, written)


def test_a_second_call_only_changes_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    show_log("debug")
    show_log("error")
    LOG.warning("hidden")
    LOG.error("shown")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("verbose", "level", "shown"),
    [
        (False, None, []),
        (True, None, ["WARNING"]),
        (False, "INFO", ["INFO", "WARNING"]),
        (True, "error", []),
    ],
)
def test_the_command_line_shows_it_if_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verbose: bool,
    level: str | None,
    shown: list[str],
) -> None:
    if level:
        monkeypatch.setenv("VIDEOPATH_LOG_LEVEL", level)
    quiet_libraries(verbose)
    LOG.info("one")
    LOG.warning("two")
    assert re.findall(r"INFO|WARNING", capsys.readouterr().err) == shown


def test_an_unknown_level_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOPATH_LOG_LEVEL", "loud")
    with pytest.raises(InputError, match="VIDEOPATH_LOG_LEVEL"):
        load_settings()
    quiet_libraries(verbose=False)  # `videopath doctor` still runs and reports the setting


def _lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_a_json_line_has_the_fields_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    show_log("info", as_json=True)
    with log_fields(case_id="case-1", step="describe", text="Erika"):
        LOG.info("Case %s:\nbegun “now”.", "case-1", extra={"seconds": 1.23456, "device": "cpu"})
    LOG.warning("alone")
    written = capsys.readouterr().err
    inside, alone = _lines(written)
    moment = datetime.fromisoformat(inside.pop("time"))
    assert moment.utcoffset() == timedelta(0)
    assert inside == {
        "level": "info", "logger": "videopath.agent.test", "message": "Case case-1:\nbegun “now”.",
        "case_id": "case-1", "step": "describe", "device": "cpu", "seconds": 1.235,
    }  # fmt: skip
    assert set(alone) == {"time", "level", "logger", "message"}
    assert written.count("\n") == 2


@pytest.mark.parametrize(("level", "shown"), [("info", False), ("debug", True)])
def test_the_text_of_an_error_appears_at_debug_only(
    capsys: pytest.CaptureFixture[str], level: Any, shown: bool
) -> None:
    show_log(level, as_json=True)
    try:
        raise OSError("/videos/Erika Mustermann.mp4")
    except OSError:
        LOG.exception("It failed.")
    (line,) = _lines(capsys.readouterr().err)
    assert line["error"] == "OSError"
    assert line["traceback"][-1].endswith("test_the_text_of_an_error_appears_at_debug_only")
    assert ("Mustermann" in str(line)) is shown


def test_the_form_can_be_changed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOPATH_LOG_JSON", "1")
    show_log("info")
    LOG.info("one")
    show_log("info", as_json=False)
    LOG.info("two")
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["message"] == "one"
    assert second.endswith("INFO videopath.agent.test: two")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("There is no file /videos/a.mp4.", "There is no file …"),
        ("'C:\\cases\\a.mp4' cannot be read: and/or", "'…' cannot be read: and/or"),
        ("--out ~/x/y is a file; ../z too (./b)", "--out … is a file; … too (…)"),
        ("at file:///videos/a.mp4 or \\\\nas\\b", "at … or …"),
        ("It listens on http://127.0.0.1:8501.", "It listens on http://127.0.0.1:8501."),
    ],
)
def test_paths_are_left_out_of_a_sentence(text: str, left: str) -> None:
    assert without_paths(text) == left


def test_a_path_of_the_command_line_is_left_out_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["videopath", "diagnose", "in/Erika Mustermann.mp4", "--home=/h/Erika M"]
    )
    sentence = "No file in/Erika Mustermann.mp4, Erika Mustermann.mp4 for the library /h/Erika M here."
    assert without_paths(sentence) == "No file …, … for the library … here."


@pytest.mark.parametrize("wrong", [(), ("--no-such-option",)])
def test_a_command_writes_json_alone_to_stderr(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    """The error of a command is a line as well, without the path that the command line names."""
    missing = tmp_path / "Erika Mustermann.mp4"
    command = [sys.executable, "-m", "videopath.app.cli", "--log-json", "diagnose", str(missing), *wrong]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stdout == ""
    (line,) = _lines(answer.stderr)
    assert (line["level"], line["logger"]) == ("error", "videopath.app.cli.errors")
    assert "Mustermann" not in answer.stderr
    assert str(tmp_path) not in answer.stderr


def test_json_is_written_although_a_setting_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "videopath.app.cli", "--log-json", "cases", "list"]
    environment = {**os.environ, "VIDEOPATH_LOG_LEVEL": "loud"}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert answer.returncode == 2
    (line,) = _lines(answer.stderr)
    assert "log_level" in line["message"]


def test_a_thread_that_fails_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_log("info", as_json=True)
    error = ValueError("/videos/Erika Mustermann.mp4")
    say_thread_error(threading.ExceptHookArgs((ValueError, error, None, None)))
    (line,) = _lines(capsys.readouterr().err)
    assert (line["level"], line["error"]) == ("error", "ValueError")
    assert "Mustermann" not in str(line)
