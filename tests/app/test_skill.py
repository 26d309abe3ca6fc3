"""The agent skill: it is where `videopath skill` says, and names tools and fields that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

_ROOT = Path(__file__).resolve().parents[2]
_SKILL = _ROOT / "skills" / "videopath"
_TASKS = sorted((_SKILL / "evals").glob("*.json"))


def test_the_command_prints_the_folder_that_the_repository_links_to(videopath: Callable[..., Result]) -> None:
    answer = videopath("skill")
    folder = Path(answer.stdout.strip())
    assert answer.exit_code == 0
    assert folder.is_absolute()
    assert (folder / "SKILL.md").samefile(_SKILL / "SKILL.md")


def test_the_skill_has_the_usual_head() -> None:
    head = yaml.safe_load((_SKILL / "SKILL.md").read_text(encoding="utf-8").split("---\n")[1])
    assert set(head) == {"name", "description"}
    assert head["name"] == _SKILL.name
    assert 100 < len(head["description"]) <= 1024


def test_the_skill_names_every_tool_and_only_fields_that_exist() -> None:
    pytest.importorskip("mcp", reason="the MCP server needs the extra mcp")
    from videopath.agent import CaseReport
    from videopath.app.mcp import results
    from videopath.app.mcp.calls import ModelCalls
    from videopath.app.mcp.server import TissueServer
    from videopath.app.mcp.tools import add_tools

    server = TissueServer("names")
    add_tools(server, None, ModelCalls())  # type: ignore[arg-type]
    tools = {tool.name: tool for tool in server._tool_manager.list_tools()}
    arguments = {name for tool in tools.values() for name in tool.parameters["properties"]}
    text = (_SKILL / "SKILL.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`([a-z]+_[a-z_]+)`", text))
    fields = {
        name
        for record in (results.CaseOutcome, results.CaseAnswer, results.ShownFinding, CaseReport)
        for name in record.model_fields
    }
    assert set(tools) <= shown
    assert shown <= fields | arguments | set(tools)
    table = text.partition("## How to read a result")[2].partition("##")[0]
    rows = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert set(rows) <= fields
    assert len(rows) > 8


@pytest.mark.parametrize("path", _TASKS, ids=lambda path: path.stem)
def test_the_tasks_are_whole(path: Path) -> None:
    from videopath.media.synthetic import ENTITIES

    task = json.loads(path.read_text(encoding="utf-8"))
    assert set(task) == {"name", "prompt", "files", "tools", "outcome", "must", "must_not"}
    assert task["name"] == path.stem
    assert task["must"]
    assert task["must_not"]
    names = {Path(file["path"]).name for file in task["files"]}
    assert any(name in task["prompt"] for name in names)
    for file in task["files"]:
        assert set(file["render"]) == {"entity", "seed", "seconds"}
        assert file["render"]["entity"] in ENTITIES
    text = (_SKILL / "SKILL.md").read_text(encoding="utf-8")
    assert all(f"`{tool}`" in text for tool in task["tools"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in _TASKS if '"outcome": null' not in path.read_text()], ids=lambda path: path.stem
)
def test_the_tasks_come_out_as_they_say(path: Path, tmp_path: Path, nano_engine: object) -> None:
    from videopath.agent import DiagnosticAgent
    from videopath.media.synthetic import render_case

    task = json.loads(path.read_text(encoding="utf-8"))
    (file,) = task["files"]
    (tmp_path / "videos").mkdir()
    video = render_case(tmp_path / file["path"], **file["render"])
    with DiagnosticAgent.load(model=nano_engine, home=tmp_path / "home") as agent:  # type: ignore[arg-type]
        report = agent.diagnose(video, site=task["outcome"]["site"])
    assert report.status == task["outcome"]["status"]


def test_there_are_tasks() -> None:
    assert len(_TASKS) >= 5
