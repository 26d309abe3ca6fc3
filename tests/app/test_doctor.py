"""``videopath doctor`` on a whole installation, and where something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from videopath.app.cli import app


@pytest.mark.slow
def test_all_is_well_here() -> None:
    answer = CliRunner().invoke(app, ["doctor", "--json"])
    document = json.loads(answer.stdout)
    assert [check for check in document["checks"] if not check["ok"]] == []
    assert answer.exit_code == 0
    names = {check["name"] for check in document["checks"]}
    assert names >= {"python", "torch", "device", "nano weights", "starter knowledge", "embedder", "decord", "home folder", "disk space", "hub cache"}  # fmt: skip


@pytest.mark.slow
def test_what_is_missing_comes_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("VIDEOPATH_HOME", str(tmp_path / "file" / "home"))
    answer = CliRunner().invoke(app, ["doctor", "--json"])
    assert answer.exit_code == 1
    wrong = [check for check in json.loads(answer.stdout)["checks"] if not check["ok"]]
    assert [check["name"] for check in wrong] == ["home folder"]
    assert "VIDEOPATH_HOME" in wrong[0]["advice"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
