"""The start-up benchmark runs; its bounds here are loose, for a machine that does other things as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_benchmark_prints_its_figures() -> None:
    command = [sys.executable, str(_ROOT / "benchmarks" / "startup.py"), "--repeats", "1", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    seconds = json.loads(answer.stdout)
    assert list(seconds) == ["help", "demo first step", "demo report", "app first page"]
    assert 0 < seconds["help"] < seconds["demo report"]
    assert 0 < seconds["demo first step"] <= seconds["demo report"] < 240
    assert 0 < seconds["app first page"] < 60
