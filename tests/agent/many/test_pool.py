"""The worker processes: a worker that dies costs its row one try, and none outlives the batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fixtures.many_workers import scripted

from videopath.agent.many.pool import WorkerPool
from videopath.agent.many.work import Task
from videopath.agent.many.worker import WorkerSetup
from videopath.core.errors import EngineError, ModelError


def _pool(jobs: int = 1, devices: tuple[str, ...] = (), **script: object) -> WorkerPool:
    return WorkerPool(WorkerSetup(agent=script), jobs, devices, entry=scripted)


def _tasks(folder: Path, *questions: str) -> Iterator[Task]:
    hashes = dict.fromkeys(("video_sha256", "weights_sha256", "knowledge_sha256", "settings_sha256"), "")
    for number, question in enumerate(questions):
        yield Task(
            str(number), f"case-{number}", {"video": str(folder / str(number)), "question": question}, hashes
        )


def test_a_worker_that_dies_is_replaced_and_its_case_tried_once_more(tmp_path: Path) -> None:
    with _pool() as pool:
        pool.start()
        ended = {
            task.case_id: outcome
            for task, outcome in pool.work(_tasks(tmp_path, "done", "die once", "die", "done"))
        }
        last = pool.processes
    assert [ended[f"case-{n}"].status for n in range(4)] == ["done", "done", "failed", "done"]
    assert "died twice: it was ended by SIGKILL" in ended["case-2"].reason
    assert ended["case-0"].reason != ended["case-1"].reason  # the processes that worked on them
    assert not any(map(psutil.pid_exists, last))


def test_devices_are_taken_in_turn_and_no_process_is_left_after_an_error(tmp_path: Path) -> None:
    pool = _pool(2, ("cpu", "cpu:1"))
    processes: list[int] = []

    def interrupted() -> None:
        with pool:
            pool.start()
            processes.extend(pool.processes)
            for _ in pool.work(_tasks(tmp_path, "wait", "done", "wait")):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(processes) == 2
    assert not any(map(psutil.pid_exists, processes))


@pytest.mark.parametrize(
    ("script", "error", "reason"),
    [
        ({"broken": True}, ModelError, "no such model"),
        ({"dies": True}, EngineError, "died while it loaded the model: it ended with code 3"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_batch(
    script: dict[str, bool], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason), _pool(**script) as pool:
        pool.start()


def test_workers_with_other_weights_are_refused(tmp_path: Path) -> None:
    def work_until_both_are_loaded() -> None:
        with _pool(2, **{"other weights": True}) as pool:
            pool.start()
            for _ in range(10_000):
                list(pool.work(_tasks(tmp_path, "done")))

    with pytest.raises(EngineError, match="different models"):
        work_until_both_are_loaded()


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from fixtures.many_workers import watched\n"
        "from videopath.agent.many.pool import WorkerPool\n"
        "from videopath.agent.many.worker import WorkerSetup\n"
        "pool = WorkerPool(WorkerSetup(), 1, entry=watched)\n"
        "pool.start()\n"
        "print(*pool.processes, flush=True)\n"
        "input()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        (worker,) = map(int, parent.stdout.readline().split())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker still runs"
        time.sleep(0.02)
