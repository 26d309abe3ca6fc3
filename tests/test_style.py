"""The code is tidy and its types hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def _checked(*command: str) -> None:
    answer = subprocess.run([sys.executable, "-m", *command], cwd=_ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_ruff_finds_nothing() -> None:
    _checked("ruff", "check", ".")


def test_the_code_is_formatted() -> None:
    _checked("ruff", "format", "--check", ".")


@pytest.mark.slow
def test_types_hold() -> None:
    _checked("mypy", "-p", "videopath")
