"""A share of what the programs in ``benchmarks`` try: damaged input of every kind, and commands that are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
_linux = pytest.mark.skipif(sys.platform != "linux", reason="the programs look into /proc and fork")


def _run(program: str, *arguments: str) -> Any:
    command = [sys.executable, _BENCHMARKS / program, "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    return json.loads(done.stdout)


@_linux
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_damaged_input_of_every_kind_is_read_or_refused_in_one_sentence() -> None:
    told = _run("fuzz.py", "--inputs", "84", "--seed", "11")
    assert told["finds"] == []
    assert len(told["table"]) == 12
    assert all(row["refused"] for row in told["table"].values())


@_linux
def test_the_fuzzing_program_gives_an_input_again() -> None:
    again = [_run("fuzz.py", "--only", "settings:3", "--seed", "5") for _ in range(2)]
    assert [told["table"]["settings"]["tried"] for told in again] == [1, 1]
    assert again[0]["table"]["settings"]["refused"] == again[1]["table"]["settings"]["refused"]


@_linux
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_by_a_kill() -> None:
    kills = _run("kills.py", "--kills", "3", "--only", "diagnose", "--only", "sign", "--only", "learn")
    assert [kill["lost"] for kill in kills] == [""] * 3
    assert {kill["command"] for kill in kills} == {"diagnose", "sign", "learn"}
    assert any(kill["killed"] for kill in kills)
