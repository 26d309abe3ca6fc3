"""``videopath doctor`` on a complete installation, and on one that lacks something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from langsmith.utils import get_env_var
from typer.testing import CliRunner

from videopath.app.cli import installation
from videopath.app.cli.installation import Check
from videopath.app.cli.main import app
from videopath.app.cli.telemetry import USAGE_STATS, shares_usage_stats


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


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "off"),
        ({"LANGSMITH_TRACING": "true"}, "not allowed: cases stay on this machine"),
        ({"LANGCHAIN_TRACING_V2": "true"}, "not allowed: cases stay on this machine"),
        ({"LANGSMITH_TRACING": "true", "VIDEOPATH_TRACING": "1"}, "leave this machine"),
    ],
)
def test_what_leaves_the_machine_is_told(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    get_env_var.cache_clear()  # LangSmith reads each variable once
    (tracing,) = checks_of("_tracing")
    get_env_var.cache_clear()
    assert said in tracing.found
    assert checks_of("_telemetry")[0].found == "off"


def test_statistics_of_the_pages_are_off_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(USAGE_STATS, raising=False)
    assert not shares_usage_stats()
    assert checks_of("_telemetry")[0].found == "off"
    monkeypatch.setenv(USAGE_STATS, "true")
    assert shares_usage_stats()
    (telemetry,) = checks_of("_telemetry")
    assert telemetry.ok
    assert "streamlit" in telemetry.found
    assert USAGE_STATS in telemetry.advice


def test_whose_paths_visitors_may_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "any path" in checks_of("_visitors")[0].found
    monkeypatch.setenv("VIDEOPATH_FOLDERS", "/data/slides")
    assert "/data/slides" in checks_of("_visitors")[0].found


def test_torchvision_is_a_hint_and_never_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    (missing,) = checks_of("_other_families")
    assert missing.ok
    assert "Pillow" in missing.found
    assert "-m pip install torchvision" in missing.advice
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(installation.importlib.metadata, "version", lambda name: "0.27")
    assert checks_of("_other_families") == [Check("torchvision", True, "0.27")]


def checks_of(name: str) -> list[Check]:
    """Run one check of the module and return its results."""
    checks: list[Check] = getattr(installation, name)()
    return checks
