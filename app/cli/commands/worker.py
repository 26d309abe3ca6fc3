"""``videopath worker``: work on the queued cases of the library, beside other workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli import options
from videopath.app.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED

if TYPE_CHECKING:
    from videopath.agent.queue_worker import QueueWorker, WorkEnd

Once = Annotated[bool, typer.Option("--once", help="End when no case waits.")]
OnlyModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Take only cases of this model, as they name it; default: cases of all models.",
        show_default=False,
    ),
]
_ENDS: dict[WorkEnd, str] = {
    "failed": "failed",
    "given back": "given back to the queue",
    "stopped": "stopped by a person",
    "lost": "lost with the connection to the database",
}


def worker(
    once: Once = False,
    model: OnlyModel = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    metrics_port: options.MetricsPort = None,
    metrics_host: options.MetricsHost = "127.0.0.1",
    accept_licence: options.AcceptLicence = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Work on queued cases, one at a time, until Ctrl-C.

    Any number of workers share a case library, on one machine or, with PostgreSQL, on several. A case whose worker died is
    taken over, and its finished steps are kept. SIGTERM and Ctrl-C end the worker after the present step; the case then
    waits for another worker. A second Ctrl-C ends it at once.

    Exit codes: 0 ended, 1 a case failed (with --once), 130 Ctrl-C.
    """
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.app.cli.serving import check_metrics, start_metrics
    from videopath.core.log import show_log
    from videopath.core.settings import load_settings

    check_metrics(metrics_host, metrics_port)
    quiet_libraries(verbose)
    settings = load_settings()
    show_log(settings.log_level or "warning")

    from videopath.agent.cases.library import load_case_library
    from videopath.agent.queue_worker import QueueWorker, WorkerOptions
    from videopath.app.metrics import watch_queue
    from videopath.app.web.runtime.engines import Engines

    library = load_case_library(settings.home)
    summary = library.store.summary()  # raises if the database cannot be used
    own = WorkerOptions(
        model,
        device or settings.device,
        dtype or settings.dtype,
        accept_licence or settings.accept_licence,
    )

    def say_end(case_id: str, end: WorkEnd) -> None:
        say(f"Case {case_id}: {_ENDS.get(end) or library.entry(case_id).state}.")

    working = QueueWorker(library, Engines(settings.home, settings).get, own, on_end=say_end)
    interrupted = _on_signals(working)
    start_metrics(library, metrics_host, metrics_port)
    watch_queue(lambda: (0, int(working.case_id is not None)))
    say(
        f"Worker on {summary}{f', for cases of {model}' if model else ''} (Ctrl-C stops it after the present step)."
    )
    failed = working.run(once=once)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if failed and once:
        raise typer.Exit(EXIT_FAILED)


def _on_signals(working: QueueWorker) -> list[int]:
    """Have SIGTERM and Ctrl-C end the worker after its step; return a list that is not empty after Ctrl-C."""
    import signal
    from types import FrameType

    interrupted: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if interrupted:
                raise KeyboardInterrupt
            interrupted.append(number)
        working.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return interrupted
