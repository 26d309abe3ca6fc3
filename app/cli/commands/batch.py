"""``videopath batch``: diagnose many videos, by several processes, in a way that can be continued."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videopath.app.cli import options
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videopath.agent.many.cluster.pool import RayPool
    from videopath.agent.many.journal import BatchFolder
    from videopath.agent.many.manifest import Row
    from videopath.agent.many.pool import WorkerPool
    from videopath.agent.many.results import Rows
    from videopath.agent.many.work import Exports
    from videopath.agent.many.worker import WorkerSetup
    from videopath.core.remote import Place

_FORMS = ("pdf", "html", "md", "json")

What = Annotated[
    list[str],
    typer.Argument(
        help="A folder, a pattern in quotes, or a manifest (csv, tsv, jsonl, parquet) with a column path; also s3://….",
        show_default=False,
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--out", "-o", metavar="PATH", help="Folder for the results, also s3://….", show_default=False
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=256,
        help="Processes; each loads the model once. Default: one for each device, or machine of the Ray cluster.",
        show_default=False,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        "--devices",
        help="Devices with commas between them, which the processes take in turn: cuda:0,cuda:1.",
        show_default=False,
    ),
]
RayCluster = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster: HOST:PORT, or auto for the one that runs here, else a new one on this machine.",
        show_default=False,
    ),
]
Together = Annotated[
    int,
    typer.Option(
        "--together",
        min=1,
        max=64,
        help="Cases that each process works on at a time, their answers written side by side; for small models.",
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again what failed in an earlier run.")]
Bundles = Annotated[bool, typer.Option("--bundles", help="Write the bundle of each case to OUT/bundles.")]
Reports = Annotated[
    str | None,
    typer.Option(
        "--reports",
        help="Write the report of each case to OUT/reports.",
        **options.choice("--reports", *_FORMS),
    ),
]


def batch(
    what: What,
    out: Out,
    jobs: Jobs = None,
    devices: Devices = None,
    ray: RayCluster = None,
    together: Together = 1,
    retry_failed: RetryFailed = False,
    bundles: Bundles = False,
    reports: Reports = None,
    site: options.Site = None,
    question: options.Question = None,
    model: options.Model = None,
    base: options.Base = None,
    second_opinion: options.SecondOpinion = None,
    knowledge: options.Knowledge = None,
    frames: options.Frames = None,
    sampling: options.Sampling = "uniform",
    crop: options.Crop = None,
    um_per_pixel: options.UmPerPixel = None,
    writing: options.Writing = None,
    mask: options.Mask = None,
    exclude: options.Exclude = None,
    review: options.Review = None,
    as_json: options.AsJson = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    accept_licence: options.AcceptLicence = False,
    accept_uncalibrated: options.AcceptUncalibrated = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Diagnose many videos and write one row for each.

    A row ends as done, abstained, waiting for review, refused (with the reason) or failed (with the error), and never
    stops the others. Started again with the same OUT, it goes on: what is done with the same file, model, knowledge and
    settings is not done again. Site, question, sampling, crop, scale and exclusions hold for rows that do not say them.

    Exit codes: 0 all rows ended, 1 a row failed, 2 WHAT cannot be used, 130 interrupted. A refused row is named and
    counted; it is not an error.
    """
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.app.cli.running import AgentOptions, check_folder, chosen_spec
    from videopath.core.pathology.sites import canonical_site
    from videopath.core.remote import place
    from videopath.media.crop import parse_crop
    from videopath.media.masks import parse_masks

    quiet_libraries(verbose)
    target = place(out)
    if isinstance(target, Path):
        check_folder(target)
    spec = chosen_spec(model, base, device, dtype, accept_licence)
    agent_options = AgentOptions(spec, knowledge, review, frames, accept_uncalibrated, second_opinion)

    from videopath.agent.many.journal import open_folder
    from videopath.agent.many.manifest import RowDefaults, checked_scale, read_rows
    from videopath.agent.many.pool import WorkerPool
    from videopath.agent.many.work import Exports

    defaults = RowDefaults(
        site=canonical_site(site) if site is not None else None,
        question=question,
        sampling=sampling,
        exclude=tuple(exclude or ()),
        crop=None if crop is None else parse_crop(crop),
        um_per_pixel=None if um_per_pixel is None else checked_scale(um_per_pixel),
        masks=parse_masks(mask or ()),
    )
    if ray is not None:
        from videopath.agent.many.cluster.connection import checked_address

        ray = checked_address(ray)
        if devices is not None:
            raise InputError(
                "Ray chooses the device of each job: leave --devices out, and use --device cpu or cuda."
            )
    chosen = _chosen_devices(devices, device)
    count = jobs or max(1, len(chosen))
    if count < len(chosen):
        raise InputError(
            f"--devices names {len(chosen)} devices, but --jobs is {count}: give at least {len(chosen)}."
        )
    forms: list[Any] = [*(["zip"] if bundles else []), *([reports] if reports else [])]
    setup = _setup(agent_options, writing, Exports(target, tuple(forms)), count, together)
    rows = list(read_rows(what, target, defaults))
    if cleaned := _about_credentials(rows):
        say(cleaned)
    folder = open_folder(target)
    with folder.held():
        pool: WorkerPool | RayPool
        if ray is None:
            pool = WorkerPool(setup, count, chosen)
        else:
            from videopath.agent.many.cluster.pool import RayPool

            pool = RayPool(setup, jobs, ray, spec.device, notify=say)
        _run(rows, folder, pool, setup.exports, retry_failed, as_json)


def _run(
    rows: Sequence[Row],
    folder: BatchFolder,
    pool: WorkerPool | RayPool,
    exports: Exports | None,
    retry_failed: bool,
    as_json: bool,
) -> None:
    from videopath.agent.many.results import Rows, write_results
    from videopath.agent.many.run import Batch
    from videopath.agent.many.summary import summarise
    from videopath.app.cli.batch_progress import BatchProgress
    from videopath.app.cli.console import say
    from videopath.app.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED
    from videopath.app.figures.batch import write_summary

    ended, interrupted = Rows(), False
    with BatchProgress(len(rows)) as progress:
        run = Batch(
            rows,
            pool,
            folder=folder,
            exports=exports,
            retry_failed=retry_failed,
            on_result=progress.ended,
            on_loaded=progress.loaded,
        )
        try:
            with _stopped_by_sigterm(), pool:
                for result in run.run():
                    ended.add(result)
        except KeyboardInterrupt:
            interrupted = True
        before = run.ended_before() if interrupted else ()
        for result in before or ():
            ended.add(result)
    if before is not None:
        write_results(folder.path, ended)
        write_summary(summarise(ended, len(rows)), folder.path)
        folder.publish()
    _deliver(folder.place, ended, len(rows), progress, as_json)
    if interrupted:
        say(f"Interrupted: {len(rows) - len(ended):,} rows are open. The same command continues.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if progress.counts["failed"]:
        raise typer.Exit(EXIT_FAILED)


def _about_credentials(rows: Sequence[Row]) -> str:
    """Return the sentence about rows whose cells held credentials; empty if none did."""
    found = [row for row in rows if row.cleaned]
    if not found:
        return ""
    columns = ", ".join(dict.fromkeys(name for row in found for name in row.cleaned))
    count = f"{len(found):,} row" + ("s" if len(found) > 1 else "")
    return (
        f"Addresses of {count} held a password, a token or a signature outside of the column path (columns: {columns[:200]}): "
        f"they are replaced by [removed] and stored nowhere. The manifest itself still holds them."
    )


def _deliver(out: Place, ended: Rows, total: int, progress: Any, as_json: bool) -> None:
    from videopath.agent.many.results import CSV, PARQUET, ROW_STATUSES
    from videopath.app.cli.console import emit_json, say
    from videopath.app.figures.batch import SUMMARY
    from videopath.core.notice import RESEARCH_USE

    if as_json:
        counts = {status: progress.counts[status] for status in ROW_STATUSES}
        document = {
            "rows": total,
            "ended": len(ended),
            "counts": counts,
            "parquet": str(out / PARQUET),
            "csv": str(out / CSV),
            "summary": str(out / SUMMARY),
            "notice": RESEARCH_USE,
        }
        emit_json(json.dumps(document, indent=2, ensure_ascii=False))
    say(f"{total:,} rows: {progress.in_words()}.")
    say(f"Results: {out / CSV}; summary: {out / SUMMARY}")
    if progress.counts["failed"]:
        say("The same command with --retry-failed tries again what failed.")


def _setup(options: Any, writing: Any, exports: Exports, jobs: int, together: int) -> WorkerSetup:
    """Return how each worker loads its agent, from the options of the command line, else of the settings."""
    from videopath.agent.many.worker import WorkerSetup
    from videopath.app.cli.running import load_arguments
    from videopath.core.settings import load_settings

    arguments = load_arguments(options)
    if writing is not None:
        arguments["writing"] = writing
    threads = max(1, _cores() // jobs) if jobs > 1 else None
    return WorkerSetup(arguments, exports, threads, together, log_level=load_settings().log_level)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chosen_devices(devices: str | None, device: str | None) -> list[str]:
    if devices is None:
        return []
    if device is not None:
        raise InputError("Give --device or --devices, not both.")
    chosen = [name.strip() for name in devices.split(",") if name.strip()]
    if not chosen:
        raise InputError("--devices names no device; give for example cuda:0,cuda:1.")
    return chosen


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM stop the work as Ctrl-C does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
