"""What the README names exists, and what it tells people to type works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fixtures.lectures import Part, card, compose, drawn_view, slide
from typer.testing import CliRunner

from videopath.app.cli.main import app
from videopath.core.notice import RESEARCH_USE
from videopath.knowledge import starter_records, to_conversation
from videopath.media.synthetic import render_case

_ROOT = Path(__file__).resolve().parents[1]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_only_paths_that_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", _README) + re.findall(r'src(?:set)?="([^"]+)"', _README)
    assert links
    assert [path for path in links if not (_ROOT / path).exists()] == []


def test_the_readme_names_only_commands_that_exist() -> None:
    scripts = re.findall(r"python ([\w/]+\.py)", _README)
    assert [script for script in scripts if not (_ROOT / script).is_file()] == []


def test_every_command_of_the_readme_has_help() -> None:
    commands = set(re.findall(r"(?:^|`|/)videopath ([a-z]+)", _README, re.MULTILINE))
    assert commands >= {"demo", "diagnose", "app", "cases", "knowledge", "doctor"}
    for command in sorted(commands):
        answer = CliRunner().invoke(app, [command, "--help"])
        assert answer.exit_code == 0, answer.output


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    (command,) = [line for line in _README.splitlines() if "python -m pytest" in line]
    assert "slow or not slow" in command
    assert "grep -m1 'python -m pytest' README.md" in (_ROOT / ".ci" / "run").read_text()


def test_the_picture_is_drawn_whole() -> None:
    picture = _ROOT / "docs" / "trace.svg"
    texts = [
        element.text or "" for element in ElementTree.parse(picture).iter() if element.tag.endswith("text")
    ]
    assert RESEARCH_USE in texts
    assert {"intake", "describe", "retrieve", "verify", "report"} <= set(texts)


def test_the_research_use_line_stands_at_the_top() -> None:
    assert " ".join(RESEARCH_USE.split()[:3]) in _README[:1200]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _README, re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README's examples read."""
    render_case(tmp_path / "case.mp4")
    conversations = [to_conversation(record) for record in starter_records()[:5]]
    (tmp_path / "conversations.json").write_text(json.dumps(conversations))
    (tmp_path / "videos").mkdir()
    (tmp_path / "recordings").mkdir()
    size, rng = (320, 240), np.random.default_rng(1)
    parts = [
        Part("title card", 1.5, card(size, rng, "light"), "light"),
        Part("slide", 3.0, slide(size, rng, "full", drawn_view(1)), "full"),
    ]
    compose(tmp_path / "recordings" / "lecture.mp4", parts, size, fps=8)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_python_examples_run(workplace: Path) -> None:
    for number, block in enumerate(_blocks("python")):
        script = workplace / f"example_{number}.py"
        script.write_text(block)
        answer = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, env=dict(os.environ)
        )
        assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_commands_on_a_video_run(workplace: Path) -> None:
    lines = [
        line for block in _blocks("bash") for line in block.splitlines() if line.startswith("videopath ")
    ]
    assert any("diagnose" in line for line in lines)
    for line in lines:
        answer = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert answer.exit_code == (3 if "--review always" in line else 0), answer.output
