"""A worker of a batch: a process of its own that loads the model once and works on one case after another.

It ends when its parent ends, however that ends, and it leaves Ctrl-C to the parent. This module imports nothing large:
the number of threads is set before torch and NumPy are imported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from videopath.core.choices import LogLevel

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.many.identity import System
    from videopath.agent.many.results import Outcome
    from videopath.agent.many.work import Exports, Task

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class WorkerSetup:
    """How a worker loads its agent; everything can be sent to another process."""

    agent: dict[str, Any] = field(default_factory=dict)
    """The arguments of ``DiagnosticAgent.load``: names and paths, no loaded engine."""
    exports: Exports | None = None
    threads: int | None = None
    """Threads of a worker's computations; None: as many as the libraries choose."""
    together: int = 1
    """Cases that a worker's model answers side by side."""
    log_level: LogLevel | None = None


@dataclass(frozen=True)
class Ready:
    """The worker has loaded model and knowledge."""

    system: System


@dataclass(frozen=True)
class NotLoaded:
    """The worker could not load model or knowledge."""

    error: Exception


@dataclass(frozen=True)
class Ended:
    """A case ended."""

    case_id: str
    outcome: Outcome


def main(connection: Connection, setup: WorkerSetup) -> None:
    """Load the agent, then work on each task that comes, until None comes (the entry point of the process)."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_threads(setup.threads)
    warnings.simplefilter("ignore")
    if setup.log_level is not None:
        from videopath.core.log import show_log

        show_log(setup.log_level)
    from videopath.core.errors import VideoPathError

    try:
        agents, system = _loaded(setup)
    except (VideoPathError, OSError) as error:
        connection.send(NotLoaded(error))
        return
    connection.send(Ready(system))
    sending = threading.Lock()
    try:
        if len(agents) == 1:
            _work(agents[0], connection, setup.exports, sending)
    finally:
        for agent in agents:
            agent.close()


def _loaded(setup: WorkerSetup) -> tuple[list[DiagnosticAgent], System]:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.many.identity import system_of

    if setup.threads is not None:
        import torch

        torch.set_num_threads(setup.threads)
    agent = DiagnosticAgent.load(**setup.agent)
    return [agent], system_of(agent)


def _work(
    agent: DiagnosticAgent, connection: Connection, exports: Exports | None, sending: threading.Lock
) -> None:
    from videopath.agent.many.work import work_on

    while (task := _received(connection)) is not None:
        outcome = work_on(agent, task, exports)
        with sending:
            connection.send(Ended(task.case_id, outcome))


def _received(connection: Connection) -> Task | None:
    try:
        return connection.recv()
    except EOFError:  # the parent has ended
        return None


def _limit_threads(threads: int | None) -> None:
    if threads is not None:
        for name in _THREADS:
            os.environ.setdefault(name, str(threads))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
