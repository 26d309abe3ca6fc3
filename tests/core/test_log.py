"""The log: silent as a library, on stderr if the command line or the settings ask for it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import videopath
from videopath.app.cli.console import quiet_libraries
from videopath.core.errors import InputError
from videopath.core.log import NAME, hide_log, show_log
from videopath.core.settings import load_settings

LOG = logging.getLogger(f"{NAME}.agent.test")


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("VIDEOPATH_HOME", str(tmp_path))
    monkeypatch.delenv("VIDEOPATH_LOG_LEVEL", raising=False)
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
