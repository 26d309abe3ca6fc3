"""Figures for Prometheus: cases by status, seconds of steps and model calls, the queue; served over HTTP.

The cases are counted in the case library when the figures are read, so that all servers of one library say the same.
Times are those of this process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from videopath.core.choices import DISPLAYED_STATUSES
from videopath.core.errors import VideoPathError
from videopath.core.installing import require
from videopath.core.telemetry import Work, observe

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from videopath.agent.cases.library import CaseLibrary

_log = logging.getLogger(__name__)

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

QueueLength = Callable[[], tuple[int, int]]
"""Returns how many cases wait for the runner of this process, and how many it works on."""


def require_metrics() -> None:
    """Raise ``InputError`` if the extra ``metrics`` is missing."""
    require("prometheus_client", "prometheus-client", "metrics", "--metrics-port")


class Figures:
    """The figures of this process and of its case library, as a registry of Prometheus's client.

    Args:
        library: The library whose cases are counted.
    """

    def __init__(self, library: CaseLibrary) -> None:
        require_metrics()
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry: CollectorRegistry = CollectorRegistry()
        self._library = library
        self._queue: QueueLength | None = None
        own: dict[str, Any] = {"registry": self.registry}
        self._steps = Histogram("videopath_step_seconds", "Seconds of finished steps", ["step"], buckets=_SECONDS, **own)  # fmt: skip
        self._failed_steps = Counter("videopath_step_failures", "Steps that ended with an error", ["step", "error"], **own)  # fmt: skip
        self._calls = Histogram("videopath_model_call_seconds", "Seconds of calls of the model", ["method"], buckets=_SECONDS, **own)  # fmt: skip
        self._tokens = Counter("videopath_model_tokens", "Tokens that the model has written", **own)
        self.registry.register(self)
        self.close = observe(self._count)

    def watch_queue(self, length: QueueLength) -> None:
        """Have the queue of this process's runner among the figures."""
        self._queue = length

    def collect(self) -> Iterator[Any]:
        """Yield the figures that are counted when they are read (called by Prometheus's client)."""
        counts = self._counts()
        yield _gauge(
            "videopath_library_readable", "1 if the case library can be read, else 0", int(bool(counts))
        )
        waiting, running = self._queue() if self._queue is not None else (0, 0)
        yield _gauge("videopath_cases_at_work", "Cases that the runner of this process works on", running)
        if counts:
            yield _cases(counts)
            waiting += counts.get("queued", 0)
        help_text = "Cases that wait: queued in the library for any worker, or for the runner of this process"
        yield _gauge("videopath_queue_length", help_text, waiting)

    def _counts(self) -> dict[str, int]:
        """Return the number of cases by status; empty if the library cannot be read."""
        from videopath.agent.cases.team.worklist import Worklist

        try:
            counts = Worklist(self._library).counts()
        except (VideoPathError, OSError) as error:
            _log.warning("The cases cannot be counted: %s.", type(error).__name__)
            _log.debug("The cases cannot be counted: %s", error)
            return {}
        return {status: counts.get(status, 0) for status in DISPLAYED_STATUSES}

    def _count(self, work: Work) -> None:
        """Count a piece of work that has ended; a step that waits for a person is none."""
        if work.name == "step" and work.error:
            self._failed_steps.labels(work.fields["step"], work.error).inc()
        elif work.name == "step" and not work.waits:
            self._steps.labels(work.fields["step"]).observe(work.seconds)
        elif work.name == "model call" and not work.error:
            self._calls.labels(work.fields["method"]).observe(work.seconds)
            self._tokens.inc(work.fields.get("tokens", 0))


def _gauge(name: str, help_text: str, value: float) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, help_text, value=value)


def _cases(counts: dict[str, int]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("videopath_cases", "Cases of the library by status", labels=["status"])
    for status, number in counts.items():
        family.add_metric([status], number)
    return family


def serve_figures(figures: Figures, host: str, port: int) -> Callable[[], None]:
    """Serve the figures at ``/metrics`` in a thread; return a function that ends it.

    Args:
        figures: The figures.
        host: Address to listen on.
        port: Port to listen on.
    """
    from prometheus_client import start_http_server

    server, thread = start_http_server(port, addr=host, registry=figures.registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()
        figures.close()

    return end


_lock = threading.Lock()
_of_process: list[Figures] = []


def start_figures(library: CaseLibrary, host: str, port: int) -> Figures:
    """Serve the figures of this process until it ends, and return them; a runner adds its queue to them.

    Raises:
        InputError: The extra ``metrics`` is missing.
    """
    figures = Figures(library)
    serve_figures(figures, host, port)
    with _lock:
        _of_process.append(figures)
    return figures


def watch_queue(length: QueueLength) -> None:
    """Have the queue of this process's runner among the figures, if they are served."""
    with _lock:
        for figures in _of_process:
            figures.watch_queue(length)
