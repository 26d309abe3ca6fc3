"""Run a case for a command: load the agent, show the steps, deliver the report, choose the exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from videopath.app.cli.errors import EXIT_ABSTAINED, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_WAITING
from videopath.core.choices import ReviewMode
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from videopath.agent import CaseReport, DiagnosticAgent, Step
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.graph.steps import Progress
    from videopath.model.inference.spec import EngineSpec


@dataclass(frozen=True)
class AgentOptions:
    """Options of the agent; those that are None come from the settings."""

    spec: EngineSpec | None = None
    knowledge: Path | None = None
    review: ReviewMode | None = None
    frames: int | None = None
    accept_uncalibrated: bool = False
    second_opinion: str | None = None
    """The second model; an empty text asks for no second opinion, whatever the settings say."""


def chosen_spec(
    model: str | None = None,
    base: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    accept_licence: bool = False,
) -> EngineSpec:
    """Return the engine spec: the options of the command line, and otherwise the settings."""
    from videopath.core.settings import load_settings
    from videopath.model.inference.spec import EngineSpec

    return EngineSpec.from_settings(load_settings()).overridden(
        model=model, base=base, device=device, dtype=dtype, accept_licence=accept_licence
    )


def load_agent(options: AgentOptions) -> DiagnosticAgent:
    """Load the agent with the options of the command line, else of the settings."""
    from videopath.agent import DiagnosticAgent

    return DiagnosticAgent.load(**load_arguments(options))


def load_arguments(options: AgentOptions) -> dict[str, Any]:
    """Return the arguments of ``DiagnosticAgent.load``: the options of the command line, else the settings."""
    from videopath.core.settings import load_settings

    settings = load_settings()
    second = settings.second_opinion if options.second_opinion is None else options.second_opinion
    return {
        "model": options.spec or chosen_spec(),
        "second_opinion": second or None,
        "knowledge": options.knowledge or settings.knowledge,
        "review": options.review or settings.review,
        "frames": options.frames or settings.frames,
        "accept_uncalibrated": options.accept_uncalibrated or settings.accept_uncalibrated,
        "writing": settings.writing,
        "home": settings.home,
    }


def load_agent_of(library: CaseLibrary, case_id: str) -> DiagnosticAgent:
    """Load the agent with the settings that a case was started with."""
    from videopath.agent.replay import agent_of, settings_of, spec_of
    from videopath.core.settings import load_settings

    case_settings = settings_of(library, case_id)
    spec = spec_of(case_settings, accept_licence=load_settings().accept_licence)
    return agent_of(case_settings, library.home, spec=spec)


def follow(
    library: CaseLibrary, case_id: str, run: Callable[[Callable[[Progress], None]], Iterable[Step]]
) -> None:
    """Run a case and show its finished steps; on a terminal also the tokens as they are written.

    Args:
        library: The library that holds the case.
        case_id: Its id, for the message after Ctrl-C.
        run: Runs the case and yields its steps; it is called with the callback for progress.

    Raises:
        typer.Exit: With code 130, after Ctrl-C.
    """
    from videopath.app.cli.console import StepDisplay

    with _resumable(library, case_id), StepDisplay() as display:

        def show_progress(progress: Progress) -> None:
            if progress.kind == "token":
                display.token(progress.text)
            else:
                display.working(f"{progress.step}: {progress.text}" if progress.text else progress.step)

        for step in run(show_progress):
            display.finished(step)


def deliver(report: CaseReport, *, as_json: bool, out: Path | None = None, strict: bool = False) -> None:
    """Print the report, write it to ``out`` if that is given, and exit with the case's code.

    Raises:
        typer.Exit: If the case's exit code is not 0.
    """
    from videopath.app.cli.console import emit_json, say, stdout
    from videopath.app.cli.summary import summary

    if out is not None:
        _write(report, out)
    if as_json:
        emit_json(report.to_json())
    else:
        stdout().print(summary(report))
    if report.status == "waiting for review":
        say(
            f"The case waits for your review: videopath cases resume {report.case_id} "
            "--action accept|edit|revise|reject --reviewer NAME"
        )
    elif not as_json:
        say(f"Report, trace and evidence frames: {out or report.folder}")
    code = exit_code(report, strict)
    if code:
        raise typer.Exit(code)


def exit_code(report: CaseReport, strict: bool) -> int:
    """Return the exit code for a case."""
    if report.status == "waiting for review":
        return EXIT_WAITING
    if report.status in ("failed", "running"):
        return EXIT_FAILED
    return EXIT_ABSTAINED if strict and report.status == "abstained" else EXIT_DONE


def check_folder(out: Path | None) -> None:
    """Raise ``InputError`` if the folder for results cannot be made or written: before the work, not after it."""
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder for report and bundle.")
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise InputError(f"--out {out} cannot be written; give a folder that you can write to.")


def _write(report: CaseReport, out: Path) -> None:
    from videopath.core.files import write_bytes, write_text

    report.save_bundle(out / f"{report.case_id}.zip")
    write_text(out / "report.json", report.without_paths().to_json())
    write_text(out / "report.md", report.to_markdown())
    for image in sorted({finding.image for finding in report.findings if finding.image}):
        if report.folder is not None:
            write_bytes(out / image, (report.folder / image).read_bytes())


@contextmanager
def _resumable(library: CaseLibrary, case_id: str) -> Iterator[None]:
    """After Ctrl-C, say how the case can be resumed."""
    try:
        yield
    except KeyboardInterrupt as error:
        from videopath.app.cli.console import say

        if library.has(case_id):
            say(f"Interrupted. The finished steps are kept; continue with: videopath cases resume {case_id}")
        else:
            say("Interrupted before the case started.")
        raise typer.Exit(EXIT_INTERRUPTED) from error
