"""A worker of a batch: a process of its own that loads the model once and works on one case after another.

It ends when its parent ends, however that ends, and it leaves Ctrl-C to the parent. This module imports nothing large:
the number of threads is set before torch and NumPy are imported.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from videopath.core.choices import LogLevel

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.many.identity import System
    from videopath.agent.many.results import Outcome
    from videopath.agent.many.together import Gathering
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
    limit_threads(setup.threads)
    warnings.simplefilter("ignore")
    if setup.log_level is not None:
        from videopath.core.log import show_log

        show_log(setup.log_level)
    from videopath.core.errors import VideoPathError

    try:
        agents, system, gathering = load_agents(setup)
    except (VideoPathError, OSError) as error:
        connection.send(NotLoaded(error))
        return
    connection.send(Ready(system))
    try:
        if len(agents) == 1:
            _work(agents[0], connection, setup.exports)
        else:
            _work_side_by_side(agents, gathering, connection, setup.exports)
    finally:
        for agent in agents:
            agent.close()


def load_agents(setup: WorkerSetup) -> tuple[list[DiagnosticAgent], System, Gathering]:
    """Return an agent for each case that is worked on at a time; all share one model and one knowledge base."""
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.many.identity import system_of
    from videopath.agent.many.together import Gathering, SharedLoader

    if setup.threads is not None:
        import torch

        torch.set_num_threads(setup.threads)
    gathering = Gathering()
    loader = SharedLoader(gathering) if setup.together > 1 else None
    first = DiagnosticAgent.load(**setup.agent, loader=loader)
    system = system_of(first)
    shared = {**setup.agent, "knowledge": first.knowledge}
    others = [DiagnosticAgent.load(**shared, loader=loader) for _ in range(setup.together - 1)]
    return [first, *others], system, gathering


def _work(agent: DiagnosticAgent, connection: Connection, exports: Exports | None) -> None:
    from videopath.agent.many.work import work_on

    while (task := _received(connection)) is not None:
        connection.send(Ended(task.case_id, work_on(agent, task, exports)))


def _work_side_by_side(
    agents: Sequence[DiagnosticAgent], gathering: Gathering, connection: Connection, exports: Exports | None
) -> None:
    """Work on as many cases at a time as there are agents, each in a thread of its own."""
    from videopath.agent.many.work import work_on

    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    sending = threading.Lock()

    def work(agent: DiagnosticAgent) -> None:
        while (task := tasks.get()) is not None:
            with gathering.case():
                outcome = work_on(agent, task, exports)
            with sending:
                connection.send(Ended(task.case_id, outcome))

    threading.excepthook = _end_process
    threads = [threading.Thread(target=work, args=(agent,), daemon=True) for agent in agents]
    for thread in threads:
        thread.start()
    while (task := _received(connection)) is not None:
        tasks.put(task)
    for _ in threads:
        tasks.put(None)
    for thread in threads:
        thread.join()


def _end_process(failure: threading.ExceptHookArgs) -> None:
    """End the process because of an error in one thread, as without threads: the parent replaces it."""
    traceback.print_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
    os._exit(1)


def _received(connection: Connection) -> Task | None:
    try:
        return connection.recv()
    except EOFError:  # the parent has ended
        return None


def limit_threads(threads: int | None) -> None:
    """Let numerical libraries use that many threads, if they are not imported yet. None: as many as they choose."""
    if threads is not None:
        for name in _THREADS:
            os.environ.setdefault(name, str(threads))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
