"""What runs on the cluster: the reading task, and the actors, each of which holds the model."""

from __future__ import annotations

import json
import os
import queue
import socket
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from videopath.agent.many.work import Task, ended, work_on
from videopath.agent.many.worker import WorkerSetup, limit_threads, load_agents
from videopath.core.errors import CaseError, EngineError, VideoPathError

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.many.identity import System
    from videopath.agent.many.results import Outcome

_TRIES = 2  # of a case whose process dies
_PATIENCE = 90.0  # seconds until the lock of a case is free whose process or machine was lost


@dataclass(frozen=True)
class Driver:
    """What an actor takes over from the process that started the batch."""

    version: str
    folder: str
    environment: Mapping[str, str]


def as_row(task: Task) -> dict[str, str]:
    """Return a case as a row of text."""
    return {
        "identity": task.identity,
        "case_id": task.case_id,
        "request": json.dumps(task.request),
        "hashes": json.dumps(task.hashes),
    }


def as_task(row: Mapping[str, str]) -> Task:
    """Return the case of a row."""
    return Task(row["identity"], row["case_id"], json.loads(row["request"]), json.loads(row["hashes"]))


class Cases(Datasource):
    """The cases of the feed: one reading task yields each as a block of its own when it is there."""

    def __init__(self, feed: Any) -> None:
        super().__init__()
        self._feed = feed

    def get_name(self) -> str:
        """Return the name of the source in Ray's tables."""
        return "Cases"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None: nobody knows how many cases come."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """Return the only reading task. If it is lost it yields the same blocks again."""
        feed = self._feed

        def read() -> Iterator[pyarrow.Table]:
            number = 0
            while (row := ray.get(feed.take.remote(number))) is not None:
                yield pyarrow.Table.from_pylist([row])
                number += 1

        metadata = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, metadata)]


class CaseActor:
    """An actor that loads the model once and works on one case after the other, or on several side by side."""

    def __init__(self, feed: Any, setup: WorkerSetup, driver: Driver) -> None:
        self._feed = feed
        self._exports = setup.exports
        self._process = f"process {os.getpid()} on {socket.gethostname()}"
        self._id = ray.get_runtime_context().get_actor_id()
        ray.get(feed.begin_loading.remote(self._id))
        try:
            _take_over(driver)
            limit_threads(setup.threads)
            warnings.simplefilter("ignore")
            if setup.log_level is not None:
                from videopath.core.log import show_log

                show_log(setup.log_level)
            loaded: System | Exception = self.load(setup)
        except (VideoPathError, OSError) as error:
            loaded = error
        ray.get(feed.loaded.remote(self._id, loaded))

    def load(self, setup: WorkerSetup) -> System:
        """Load the agents, and return what they have in common."""
        agents, system, self._gathering = load_agents(setup)
        self._agents: queue.SimpleQueue[DiagnosticAgent] = queue.SimpleQueue()
        for agent in agents:
            self._agents.put(agent)
        return system

    def work(self, task: Task) -> Outcome:
        """Work on a case by an agent that is free."""
        agent = self._agents.get()
        wait_until_free(agent, task.case_id)
        with self._gathering.case():
            outcome = work_on(agent, task, self._exports)
        self._agents.put(agent)
        return outcome

    def __call__(self, block: pyarrow.Table) -> pyarrow.Table:
        """Work on the case of a block of one row, and return its outcome."""
        outcomes = [
            {"case_id": row["case_id"], "outcome": self._outcome(as_task(row)).model_dump_json()}
            for row in block.to_pylist()
        ]
        return pyarrow.Table.from_pylist(outcomes)

    def _outcome(self, task: Task) -> Outcome:
        if ray.get(self._feed.begin.remote(task.case_id, self._process)) >= _TRIES:
            outcome = ended(task, "failed", "The process that worked on it died twice: see Ray's logs.")
        else:
            try:
                outcome = self.work(task)
            except BaseException:  # noqa: BLE001 - whatever it is, another process tries the case again
                traceback.print_exc()
                os._exit(1)  # Ray replaces the actor; an error would end the whole job
        ray.get(self._feed.end.remote(task.case_id))
        return outcome


def wait_until_free(agent: DiagnosticAgent, case_id: str, patience: float = _PATIENCE) -> None:
    """Wait while another process works on a case: one that is just being killed, or whose machine was cut off."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            if not agent.library.entry(case_id).at_work:
                return
        except CaseError:  # there is no such case yet
            return
        time.sleep(0.5)


def _take_over(driver: Driver) -> None:
    import videopath

    if videopath.__version__ != driver.version:
        raise EngineError(
            f"The machine {socket.gethostname()} has VideoPath {videopath.__version__}, the batch was started by "
            f"{driver.version}: install the same version on all machines."
        )
    os.environ.update(driver.environment)
    if os.path.isdir(driver.folder):  # noqa: PTH112 - else only absolute paths can be used
        os.chdir(driver.folder)
