"""An editor on a fresh clone finds every name: a type checker resolves a user's script and the whole tree."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = """\
from videopath import DiagnosticAgent, KnowledgeBase, load_engine, open_clip
from videopath.agent import CaseReport, load_case_library
from videopath.knowledge import InstructionRecord
from videopath.media import Clip
from videopath.model import Engine
from videopath.tools import DescribeTool, toolkit

agent: DiagnosticAgent = DiagnosticAgent.load(model="nano")
report: CaseReport = agent.diagnose("case.mp4", site="colon")
label: str | None = report.diagnosis
clip: Clip = open_clip("case.mp4", frames=8)
"""
_UNRESOLVED = (
    "reportMissingImports",
    "reportMissingModuleSource",
    "reportAttributeAccessIssue",
    "reportUndefinedVariable",
)


def _problems(script: Path, rules: tuple[str, ...] = _UNRESOLVED) -> list[str]:
    """What basedpyright says of a file, as an editor does in this environment: no project settings of ours but the rules."""
    settings = script.parent / "pyrightconfig.json"
    content: dict[str, Any] = {
        "include": [str(script)],
        "typeCheckingMode": "off",
        **dict.fromkeys(
            ("reportMissingImports", "reportAttributeAccessIssue", "reportUndefinedVariable"), "error"
        ),
    }
    settings.write_text(json.dumps(content), encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "--project", str(settings)],
        capture_output=True, text=True, cwd=settings.parent,
    )  # fmt: skip
    found = json.loads(answer.stdout)
    assert found["summary"]["filesAnalyzed"] >= 1
    return [
        f"{one['file']}:{one['range']['start']['line'] + 1} {one['message']}"
        for one in found["generalDiagnostics"]
        if one.get("rule") in rules
    ]


def _imported_modules() -> set[str]:
    """The name of every module of ours that a module of the tree imports, wherever in the file."""
    rooms = [_ROOT / room.name for room in (_ROOT / "src/videopath").iterdir() if room.is_symlink()]
    nodes = [
        node
        for room in rooms
        for file in room.rglob("*.py")
        if "lmms_eval" not in file.parts  # runs in an environment that has the harness
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names = plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in names if name.split(".")[0] == "videopath"}


@pytest.mark.slow
def test_a_users_script_is_resolved_and_planted_errors_are_found(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(_SCRIPT, encoding="utf-8")
    assert _problems(good) == []
    planted = tmp_path / "planted"
    planted.mkdir()
    bad = planted / "bad.py"
    bad.write_text(
        _SCRIPT
        + "import videopath.agent.nowhere\nprint(report.no_such_field, videopath.agent.nowhere)\nfrom videopath import Nobody\n",
        encoding="utf-8",
    )
    said = "\n".join(_problems(bad))
    assert "nowhere" in said
    assert "no_such_field" in said
    assert "Nobody" in said


@pytest.mark.slow
def test_every_import_of_the_tree_is_resolved(tmp_path: Path) -> None:
    """One script imports what the whole tree imports of ours: to check every file would take ten times as long."""
    modules = _imported_modules()
    assert len(modules) > 300
    script = tmp_path / "imports.py"
    script.write_text("".join(f"import {module}\n" for module in sorted(modules)), encoding="utf-8")
    missing = _problems(script, rules=("reportMissingImports",))
    assert missing == []
