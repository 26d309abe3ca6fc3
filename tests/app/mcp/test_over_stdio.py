"""The MCP server over stdio with the official client, and the command that starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from videopath.core.notice import RESEARCH_USE

pytest.importorskip("mcp", reason="the MCP server needs the extra mcp")


@pytest.mark.slow
def test_a_case_over_stdio_with_cancellation(stdio: Any, folders: SimpleNamespace) -> None:
    assert len(stdio.run("list_tools").tools) == 7
    assert "outside of the allowed folders" in stdio.error("describe_tissue", video=str(folders.secret))
    outcome, before = stdio.steps(video="case.mp4", site="colon", case_id="stopped", stop_at=2)
    assert outcome is None
    stdio.wait_until("stopped", "interrupted")
    outcome, after = stdio.steps(case_id="stopped")
    assert (outcome["diagnosis"], outcome["notice"]) == ("colon adenocarcinoma", RESEARCH_USE)
    names = [message.split(":")[0] for message in (*before[1:], *after[1:])]
    assert len(names) == len(set(names)), "no finished step is repeated"
    assert folders.stderr.read_text(encoding="utf-8") == ""


@pytest.mark.slow
def test_stdout_carries_only_the_protocol_and_the_server_ends_with_its_client(tmp_path: Path) -> None:
    ask = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    command = [sys.executable, "-m", "videopath.app.cli", "mcp", "--folder", str(tmp_path), "--verbose"]
    answer = subprocess.run(
        command,
        input=json.dumps(ask) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "VIDEOPATH_LOG_LEVEL": "debug"},
    )
    assert answer.returncode == 0, answer.stderr
    (line,) = answer.stdout.splitlines()
    assert RESEARCH_USE in json.loads(line)["result"]["instructions"]


def test_folders_are_needed(videopath: Callable[..., Any], tmp_path: Path) -> None:
    answer = videopath("mcp")
    assert (answer.exit_code, "--folder" in answer.stderr) == (2, True)
    answer = videopath("mcp", "--folder", tmp_path / "none")
    assert (answer.exit_code, "There is no folder" in answer.stderr) == (2, True)


def test_a_token_comes_from_a_file_a_variable_or_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath.app.mcp.running import TOKEN_VARIABLE, read_token
    from videopath.core.errors import InputError

    made, is_new = read_token(None)
    assert is_new
    assert len(made) > 30
    assert made != read_token(None)[0]
    monkeypatch.setenv(TOKEN_VARIABLE, "sixteen-letters!")
    assert read_token(None) == ("sixteen-letters!", False)
    file = tmp_path / "token"
    file.write_text("another-token-of-mine\n", encoding="utf-8")
    assert read_token(file) == ("another-token-of-mine", False)
    for wrong in (
        "short",
        "sixteen letters with spaces",
        "sechzehn-Zeichen-\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(InputError, match="at least 16"):
            read_token(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_token(tmp_path / "none")
