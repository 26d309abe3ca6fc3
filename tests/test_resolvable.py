"""An editor on a fresh clone finds every name: a type checker resolves a user's script and the whole tree."""

from __future__ import annotations

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


def _problems(*paths: Path, rules: tuple[str, ...] = _UNRESOLVED) -> list[str]:
    """What basedpyright says of files, as an editor does in this environment: no project settings of ours but the rules."""
    settings = (
        paths[0].parent / "pyrightconfig.json" if paths[0] != _ROOT else _ROOT / "build" / "resolvable.json"
    )
    settings.parent.mkdir(exist_ok=True)
    rooms = [str(_ROOT / room.name) for room in (_ROOT / "src/videopath").iterdir() if room.is_symlink()]
    content: dict[str, Any] = {
        "include": rooms if paths[0] == _ROOT else [str(path) for path in paths],
        "typeCheckingMode": "off",
        "useLibraryCodeForTypes": paths[0] != _ROOT,
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
@pytest.mark.timeout(600)
def test_every_import_of_the_tree_is_resolved() -> None:
    missing = _problems(_ROOT, rules=("reportMissingImports",))
    assert [line for line in missing if "lmms_eval" not in line and "bitsandbytes" not in line] == []
