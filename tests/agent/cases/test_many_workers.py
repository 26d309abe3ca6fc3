"""Two app servers and three workers on one PostgreSQL database, one of which is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from videopath.agent import CaseRequest, load_case_library
from videopath.agent.cases.team.queue import CaseQueue
from videopath.app.web.runtime.jobs import Submission
from videopath.app.web.runtime.shared_queue import QueueingWorker
from videopath.core.errors import CaseError
from videopath.core.settings import load_settings

PROGRAM = Path(__file__).with_name("queue_workers.py")
CASES = [f"case-{number}" for number in range(4)]


def signed_at_once(home: Path, case_id: str) -> list[str]:
    """Have two people sign a case at the same moment; return what both were told."""
    told: list[str] = []

    def sign(name: str) -> None:
        try:
            load_case_library(home).sign(case_id, name, diagnosis="colon adenocarcinoma")
            told.append("signed")
        except CaseError as error:
            told.append(str(error))

    people = [threading.Thread(target=sign, args=(name,)) for name in ("Dr. A", "Dr. B")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return sorted(told)


@pytest.mark.slow
def test_two_app_servers_and_three_workers_lose_nothing_and_do_nothing_twice(
    own_home: Path, postgres: str, words_alone: Path, small_case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_WORKER", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = load_settings()
    own_home.mkdir()
    mounted = own_home.with_name("mounted")  # the same folder, as another machine mounts it
    mounted.symlink_to(own_home)
    servers = [QueueingWorker(own_home, settings), QueueingWorker(mounted, settings)]
    try:
        for number, case_id in enumerate(CASES):
            request = CaseRequest(small_case, site="colon", case_id=case_id, writing="keep")
            servers[number % 2].submit(
                Submission(request, "visitor", "scripted", words_alone, frames=4, accept_uncalibrated=True)
            )
        for server in servers:
            assert [(one.case_id, one.position) for one in server.queue()] == [
                (case_id, place) for place, case_id in enumerate(CASES, 1)
            ]
        command = [sys.executable, str(PROGRAM), str(PROGRAM.parents[2]), str(words_alone), "3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as workers:
            assert workers.stdout is not None
            steps: list[tuple[int, str, str]] = []
            killed = None
            for line in workers.stdout:
                process, case_id, step = json.loads(line)
                steps.append((process, case_id, step))
                if killed is None and step == "diagnose_blind":
                    os.kill(process, signal.SIGKILL)
                    killed = (process, case_id)
                if step == "report" and sum(one[2] == "report" for one in steps) == len(CASES):
                    workers.send_signal(signal.SIGTERM)
        assert workers.returncode == 0
        library = load_case_library(own_home)
        assert {entry.case_id: entry.state for entry in library.list()} == dict.fromkeys(CASES, "done")
        assert killed is not None
        done = Counter((case_id, step) for _, case_id, step in steps if case_id)
        assert max(done.values()) == 1, "a finished step was repeated"
        by = {process for process, case_id, _ in steps if case_id == killed[1]}
        assert len(by) == 2, "another worker took the case over"
        for case_id in CASES:
            names = [step.name for step in library.get(case_id).steps]
            assert len(names) == len(set(names)) == 7
        assert len(CaseQueue(library)) == 0
        assert [server.state("case-0") for server in servers] == [None, None]
        told = signed_at_once(own_home, "case-0")
        assert told[1] == "signed"
        assert "stays as signed" in told[0]
    finally:
        for server in servers:
            server.close(5)
