"""The workers of a batch: processes that are started, given cases, watched, and replaced if they die."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Protocol

from videopath.agent.many.identity import System, system_of
from videopath.agent.many.results import Outcome
from videopath.agent.many.work import Exports, Task, ended, work_on
from videopath.agent.many.worker import Ended, NotLoaded, Ready, WorkerSetup, main
from videopath.core.errors import EngineError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from videopath.agent.agent import DiagnosticAgent

_TRIES = 2  # of a case whose worker dies, and of a worker that dies while it loads
_PATIENCE = 5.0  # seconds that a worker has to end by itself


class Workers(Protocol):
    """Who works on the cases of a batch."""

    def start(self) -> System:
        """Load the model and return what all cases have in common."""

    def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each case as it ends; the next task is taken when a worker is free."""


class OneAgent:
    """A loaded agent of this process."""

    def __init__(self, agent: DiagnosticAgent, exports: Exports | None = None) -> None:
        self._agent = agent
        self._exports = exports

    def start(self) -> System:
        """Load the agent's model."""
        return system_of(self._agent)

    def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Work on one case after the other."""
        for task in tasks:
            yield task, work_on(self._agent, task, self._exports)


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    device: str | None
    loaded: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    """The cases that it works on, by case id."""
    reserved: list[Task] = field(default_factory=list)
    """Cases whose worker died: this one tries them again."""


class WorkerPool:
    """Worker processes. Use it in a ``with``: no worker outlives the block, nor this process."""

    def __init__(
        self,
        setup: WorkerSetup,
        jobs: int,
        devices: Sequence[str] = (),
        *,
        entry: Callable[[Connection, WorkerSetup], None] = main,
    ) -> None:
        """Make a pool; nothing is started yet.

        Args:
            setup: How each worker loads its agent.
            jobs: Number of processes.
            devices: Devices, which the workers take in turn; none: that of ``setup``.
            entry: The function that each process runs.
        """
        self._entry = entry
        self._setup = setup
        self._jobs = jobs
        self._devices: Sequence[str | None] = devices or (None,)
        self._workers: list[_Worker] = []
        self._tries: Counter[str] = Counter()
        self._deaths_while_loading = 0
        self._system: System | None = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(at_once=kind is not None)

    @property
    def system(self) -> System | None:
        """What all cases have in common; None before a worker has loaded it."""
        return self._system

    @property
    def processes(self) -> list[int]:
        """The ids of the workers' processes."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def start(self) -> System:
        """Start the workers; return when the first one has loaded its model.

        Raises:
            VideoPathError: A worker cannot load model or knowledge, or dies while it loads.
        """
        for number in range(len(self._workers), self._jobs):
            self._start_worker(self._devices[number % len(self._devices)])
        while self._system is None:
            deque(self._messages(), maxlen=0)  # no case is open yet
        return self._system

    def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each case as it ends."""
        ahead: deque[Task] = deque()
        more = True
        while True:
            for worker in self._workers:
                more = self._give(worker, ahead, tasks, more)
            busy = any(worker.tasks or worker.reserved for worker in self._workers)
            if not (busy or ahead or more):
                return
            # while all are busy, the next files are hashed
            if more and len(ahead) < self._room and not wait(self._connections, 0):
                task = next(tasks, None)
                more = task is not None
                if task is not None:
                    ahead.append(task)
                continue
            yield from self._messages()

    @property
    def _room(self) -> int:
        return self._jobs * self._setup.together

    @property
    def _connections(self) -> list[Connection]:
        return [worker.connection for worker in self._workers]

    def _give(self, worker: _Worker, ahead: deque[Task], tasks: Iterator[Task], more: bool) -> bool:
        """Give a worker as many cases as it can take; return whether there may be more tasks."""
        while worker.loaded and len(worker.tasks) < self._setup.together:
            if worker.reserved:
                task: Task | None = worker.reserved.pop()
            elif ahead:
                task = ahead.popleft()
            else:
                task = next(tasks, None) if more else None
                more = task is not None
            if task is None:
                break
            worker.tasks[task.case_id] = task
            try:
                worker.connection.send(task)
            except OSError:  # it has died: its end is noticed where messages are read
                break
        return more

    def _messages(self) -> Iterator[tuple[Task, Outcome]]:
        """Wait for messages of workers, and yield the cases that ended."""
        for connection in wait(self._connections):
            worker = next(one for one in self._workers if one.connection is connection)
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._replace(worker)
                continue
            if isinstance(message, Ended):
                yield worker.tasks.pop(message.case_id), message.outcome
            elif isinstance(message, Ready):
                self._loaded(worker, message.system)
            elif isinstance(message, NotLoaded):
                raise message.error

    def _loaded(self, worker: _Worker, system: System) -> None:
        worker.loaded = True
        self._deaths_while_loading = 0
        first = self._system or system
        if replace(system, device="") != replace(first, device=""):
            raise EngineError(
                f"The workers have different models, knowledge bases or number formats ({first.device} and "
                f"{system.device}): name devices of one kind, or a number format with --dtype."
            )
        self._system = first

    def _replace(self, dead: _Worker) -> Iterator[tuple[Task, Outcome]]:
        """Start another worker in place of a dead one; yield its cases that were tried often enough."""
        dead.process.join()
        dead.connection.close()
        self._workers.remove(dead)
        reason = _why_dead(dead.process.exitcode)
        if not dead.loaded:
            self._deaths_while_loading += 1
            if self._deaths_while_loading >= _TRIES:
                raise EngineError(f"A worker died while it loaded the model: {reason}.")
        again = list(dead.reserved)
        for task in dead.tasks.values():
            self._tries[task.case_id] += 1
            if self._tries[task.case_id] >= _TRIES:
                yield task, ended(task, "failed", f"The process that worked on it died twice: {reason}.")
            else:
                again.append(task)
        self._start_worker(dead.device, again)

    def _start_worker(self, device: str | None, again: Sequence[Task] = ()) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        setup = self._setup
        if device is not None:
            setup = replace(setup, agent={**setup.agent, "device": device})
        process = context.Process(
            target=self._entry, args=(theirs, setup), daemon=True, name="videopath-batch"
        )
        with _without_interrupts():
            process.start()
        theirs.close()  # so that the end of the worker is the end of the connection
        self._workers.append(_Worker(process, ours, device, reserved=list(again)))

    def _close(self, *, at_once: bool) -> None:
        for worker in self._workers:
            if at_once or worker.tasks or not worker.loaded:
                worker.process.terminate()
            else:
                try:
                    worker.connection.send(None)
                except OSError:  # it has died
                    continue
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()


def _why_dead(code: int | None) -> str:
    if code is None or code >= 0:
        return f"it ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps because the memory ran out" if -code == signal.SIGKILL else ""
    return f"it was ended by {name}{hint}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the signal stays blocked in them."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
