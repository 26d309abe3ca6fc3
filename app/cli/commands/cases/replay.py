"""``videopath cases replay``: run a case again from its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli import options


def replay(
    bundle: Annotated[Path, typer.Argument(help="Bundle that `cases export` wrote.")],
    video: Annotated[Path, typer.Argument(help="Video of the case.")],
    model: options.Model = None,
    base: options.Base = None,
    second_opinion: options.SecondOpinion = None,
    knowledge: options.Knowledge = None,
    device: options.Device = None,
    accept_licence: options.AcceptLicence = False,
    as_json: options.AsJson = False,
    verbose: options.Verbose = False,
) -> None:
    """Run a case again from its bundle and compare the outcomes; exit code 1 if anything differs."""
    from videopath.agent.replay import replay as run
    from videopath.app.cli.console import StepDisplay, emit_json, quiet_libraries, stdout, table

    quiet_libraries(verbose)
    with StepDisplay() as display:
        result = run(
            bundle,
            video,
            model=model,
            base=base,
            second_opinion=second_opinion,
            knowledge=knowledge,
            device=device,
            accept_licence=accept_licence,
            on_step=display.finished,
        )
    if as_json:
        emit_json(result.model_dump_json(indent=2))
    else:
        console = stdout()
        for sentence in (*result.problems, *result.notes):
            console.print(sentence, markup=False)
        rows = ((d.field, d.before, d.after) for d in result.differences)
        console.print(table(("differs", "then", "now"), rows) if result.differences else "Nothing differs.")
    if not result.same:
        raise typer.Exit(1)
