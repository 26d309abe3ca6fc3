"""``videopath worker``, as processes of their own that are asked to end in the middle of a case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath.agent import DiagnosticAgent, Policy, load_case_library
from videopath.agent.cases.team.queue import CaseQueue
from videopath.agent.cases.trace import TRACE_NAME, read_trace


def _started(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "videopath.app.cli", "worker", "--device", "cpu", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def _wait(condition: Callable[[], object], *workers: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 100
    while not condition():
        for worker in workers:
            assert worker.poll() is None, worker.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def _figure(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process can handle")
def test_sigterm_gives_the_case_back_after_the_present_step(
    own_home: Path, nano_engine: Any, words_alone: Path, small_case: Path, free_port: int
) -> None:
    pytest.importorskip("prometheus_client")
    with DiagnosticAgent.load(nano_engine, words_alone, policy=Policy(review="never"), frames=4) as agent:
        for case_id in ("a", "b"):
            agent.begin(small_case, site="colon", case_id=case_id, writing="keep", queued=True)
    library = load_case_library(own_home)

    def steps(case_id: str) -> list[str]:
        return [step.name for step in read_trace(library.folder(case_id) / TRACE_NAME)]

    workers = [_started("--metrics-port", str(free_port)), _started("--once")]
    try:
        _wait(lambda: steps("a") and steps("b"), *workers)
        assert _figure(free_port, "videopath_cases_at_work") == 1
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        ends = [worker.communicate(timeout=60)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], ends
    assert all("given back to the queue" in end for end in ends), ends
    assert {entry.state for entry in library.list()} == {"queued"}
    assert set(CaseQueue(library).waiting()) == {"a", "b"}
    assert f":{free_port}/metrics" in ends[0]
    assert 1 <= len(steps("a")) < 7
