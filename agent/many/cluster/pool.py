"""The workers of a batch on a Ray cluster: a pipeline of Ray Data whose actors hold the model.

The driver (this process) alone knows the manifest and writes the journal. It gives each case to the feed while fewer than
:data:`_AHEAD` cases an actor are open; one reading task takes the cases from the feed, the actors work on them, and the
outcomes stream back here. Ray tries a case of a lost actor again elsewhere; the case goes on from its checkpoint.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from videopath.agent.many.cluster.connection import AUTO, ClusterSize, connected
from videopath.agent.many.cluster.feed import Feed, FeedState
from videopath.agent.many.cluster.plan import READING, WORKING, Plan, made_plan
from videopath.agent.many.identity import System
from videopath.agent.many.results import Outcome
from videopath.agent.many.work import Task
from videopath.agent.many.worker import WorkerSetup
from videopath.core.errors import EngineError, VideoPathError
from videopath.core.settings import database_of, home_folder

_log = logging.getLogger(__name__)

_AHEAD = 2  # open cases an actor, beside those that it works on
_PATIENCE = 60.0  # seconds without any change after which it is said why
_NUDGED = 5.0  # seconds that a thread has to end once the feed is closed


class RayPool:
    """Actors on a Ray cluster. Use it in a ``with``: no actor outlives the block, nor this process."""

    def __init__(
        self,
        setup: WorkerSetup,
        jobs: int | None = None,
        address: str = AUTO,
        device: str | None = None,
        *,
        notify: Callable[[str], object] = _log.warning,
        patience: float = _PATIENCE,
        actor: Callable[..., Any] | None = None,
    ) -> None:
        """Make a pool; nothing is started yet.

        Args:
            setup: How each actor loads its agent. Its threads are set by the plan.
            jobs: Number of actors; None: one for each GPU, or for each machine if no GPU is used.
            address: "auto" or HOST:PORT, see :func:`~videopath.agent.many.cluster.connection.connected`.
            device: "cpu", "cuda" or None for GPUs if the cluster has any.
            notify: Called with sentences about the cluster, and why nothing moves.
            patience: Seconds without any change until it is said why.
            actor: The class that works on the cases, for tests.
        """
        self._setup = setup
        self._jobs = jobs
        self._address = address
        self._device = device
        self._notify = notify
        self._patience = patience
        self._actor = actor
        self._open_parts = ExitStack()
        self._events: queue.SimpleQueue[FeedState | tuple[str, str] | Exception | None] = queue.SimpleQueue()
        self._rows: list[dict[str, str]] = []
        self._pushing = threading.Lock()
        self._closed = False
        self._ending = False
        self._state = FeedState()
        self._system: System | None = None
        self._last_move = self._last_word = time.monotonic()
        self._plan: Plan | None = None
        self._feed: Any = None
        self._pipeline: threading.Thread | None = None
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        self._ending = True
        if self._feed is not None and ray.is_initialized():
            self._feed.push.remote(len(self._rows), [], True)  # ends the reading task, and wakes the watch
        for thread, patience in ((self._watcher, _NUDGED), (self._pipeline, _NUDGED)):
            if thread is not None:
                thread.join(patience)
        if self._feed is not None and ray.is_initialized():
            ray.kill(self._feed, no_restart=True)  # actors that still work cannot end their cases
        self._open_parts.close()

    @property
    def state(self) -> FeedState:
        """What the actors do, as far as it is known."""
        return self._state

    def start(self) -> System:
        """Connect to the cluster and start the pipeline; return when the first actor has loaded its model.

        Raises:
            VideoPathError: The cluster cannot be reached or is too small, or an actor cannot load model or knowledge.
        """
        size = self._open_parts.enter_context(connected(self._address, self._notify))
        if warning := _about_library(size, self._setup):
            self._notify(warning)
        self._plan = made_plan(size, self._jobs, self._device)
        self._start_pipeline(self._plan, size)
        while self._system is None:
            self._take_event()
        return self._system

    def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each case as it ends."""
        assert self._plan is not None, "start() comes first"
        room = self._plan.jobs * (self._setup.together + _AHEAD)
        open_cases: dict[str, Task] = {}
        more = True
        while more or open_cases:
            if more and len(open_cases) < room and self._events.empty():
                task = next(tasks, None)
                more = task is not None
                if task is not None:
                    open_cases[task.case_id] = task
                self._give(task)
                continue
            ended = self._take_event()
            if ended is not None and (task := open_cases.pop(ended[0], None)) is not None:
                yield task, Outcome.model_validate_json(ended[1])

    def _give(self, task: Task | None) -> None:
        """Give the feed a case; None: there are no more."""
        from videopath.agent.many.cluster.actor import as_row

        self._last_move = time.monotonic()
        with self._pushing:
            start = len(self._rows)
            if task is None:
                self._closed = True
            else:
                self._rows.append(as_row(task))
            self._feed.push.remote(start, self._rows[start:], self._closed)

    def _start_pipeline(self, plan: Plan, size: ClusterSize) -> None:
        import ray

        self._feed = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Feed).remote()
        agent = self._setup.agent if plan.device is None else {**self._setup.agent, "device": plan.device}
        setup = replace(self._setup, agent=agent, threads=plan.threads)
        dataset = _pipeline(self._feed, setup, plan, self._actor)
        self._last_move = time.monotonic()
        self._pipeline = threading.Thread(target=self._stream, args=(dataset,), daemon=True)
        self._pipeline.start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _stream(self, dataset: Any) -> None:
        """Pass on the outcomes as they come (in a thread of its own)."""
        try:
            for block in dataset.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
                for row in block.to_pylist():
                    self._events.put((row["case_id"], row["outcome"]))
            self._events.put(None)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._events.put(error)

    def _watch(self) -> None:
        """Pass on the feed's state, and fill the feed again if it was lost (in a thread of its own)."""
        import ray

        state = FeedState(version=-1)
        try:
            while not self._ending:
                latest: FeedState = ray.get(self._feed.wait.remote(state.version))
                if latest.version != state.version:
                    self._events.put(latest)
                state = latest
                with self._pushing:
                    missing = state.tasks < len(self._rows)
                    rows, closed = self._rows[state.tasks :], self._closed
                if missing:
                    ray.get(self._feed.push.remote(state.tasks, rows, closed))
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            if not self._ending:
                self._events.put(error)

    def _take_event(self) -> tuple[str, str] | None:
        """Wait for an event; return a case that ended and its outcome."""
        while True:
            now = time.monotonic()
            due = max(self._last_move, self._last_word) + self._patience
            try:
                event = self._events.get(timeout=max(0.0, due - now))
            except queue.Empty:
                self._last_word = time.monotonic()
                self._notify(self._why_still())
                continue
            break
        self._last_move = time.monotonic()
        if isinstance(event, tuple):
            return event
        if isinstance(event, FeedState):
            self._see(event)
            return None
        if isinstance(event, Exception):
            raise self._readable(event) from event
        raise EngineError("Ray ended the job before all cases were done: start the batch again, it goes on.")

    def _see(self, state: FeedState) -> None:
        assert self._plan is not None
        self._state = state
        if state.error is not None:
            raise state.error
        if state.loads > 2 * self._plan.jobs:
            raise EngineError("The actors die again and again while they load the model: see Ray's logs.")
        for system in state.systems.values():
            first = self._system or system
            if replace(system, device="") != replace(first, device=""):
                raise EngineError(
                    f"The actors have different models, knowledge bases or number formats ({first.device} and "
                    f"{system.device}): use machines of one kind, or name a number format with --dtype."
                )
            self._system = first

    def _readable(self, error: Exception) -> VideoPathError:
        text = str(error)
        if "No module named 'videopath" in text:
            return EngineError(
                "A machine of the cluster has no VideoPath: install the same version on all machines."
            )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        last = lines[-1][:300] if lines else type(error).__name__
        return EngineError(
            f"Ray ended the job ({last}): start the batch again, it goes on with what is open."
        )

    def _why_still(self) -> str:
        """Return a sentence about a job that does not move."""
        import ray

        assert self._plan is not None
        plan, state = self._plan, self._state
        nodes = ray.nodes()
        alive = sum(node["Alive"] for node in nodes)
        total, free = ray.cluster_resources(), ray.available_resources()
        loaded = len(state.systems)
        pending = max(0, plan.jobs - loaded - state.loading)
        parts = [
            f"Nothing has moved for {time.monotonic() - self._last_move:.0f} s:",
            f"{loaded} of {plan.jobs} actors have loaded the model, {state.loading} load it, "
            f"{pending} wait for a place (each needs {plan.needs});",
            f"the cluster has {alive} machines"
            + (f" ({len(nodes) - alive} lost)" if alive < len(nodes) else ""),
            f"with {_free(free, total, 'CPU')} and {_free(free, total, 'GPU')}.",
        ]
        for case_id, (process, seconds) in sorted(state.working.items()):
            parts.append(
                f"{process} works on {case_id}, which was begun {seconds:.0f} s before the last change."
            )
        return " ".join(parts)


def _about_library(size: ClusterSize, setup: WorkerSetup) -> str:
    """Return a warning if several computers would share the SQLite files of a case library; else an empty text."""
    home = Path(setup.agent.get("home") or home_folder())
    if size.hosts < 2 or database_of(home) is not None:
        return ""
    return (
        f"The cluster has {size.hosts} machines, but the case library in {home} is in SQLite files, which several machines "
        "cannot share safely: name a PostgreSQL database by VIDEOPATH_DATABASE."
    )


def _free(free: dict[str, float], total: dict[str, float], name: str) -> str:
    return f"{free.get(name, 0.0):g} of {total.get(name, 0.0):g} {name}s free"


def _pipeline(feed: Any, setup: WorkerSetup, plan: Plan, actor: Callable[..., Any] | None) -> Any:
    """Return the dataset: feed → reading task → actors."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    import videopath
    from videopath.agent.many.cluster.actor import CaseActor, Cases, Driver

    context = DataContext.get_current()
    context.target_max_block_size = 1  # each case is a block of its own, so that it does not wait for others
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    environment = {name: value for name, value in os.environ.items() if name.startswith("VIDEOPATH_")}
    driver = Driver(videopath.__version__, str(Path.cwd()), environment)
    cases = ray.data.read_datasource(Cases(feed), override_num_blocks=1, num_cpus=READING)
    return cases.map_batches(
        actor or CaseActor,
        batch_size=1,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            size=plan.jobs,
            max_tasks_in_flight_per_actor=setup.together + 1,
            max_concurrent_calls_per_actor=setup.together,
            enable_true_multi_threading=setup.together > 1,
        ),
        fn_constructor_kwargs={"feed": feed, "setup": setup, "driver": driver},
        num_cpus=WORKING,
        num_gpus=plan.gpus,
    )  # Ray Data itself restarts a lost actor and tries its cases again, without a limit: the feed counts the tries
