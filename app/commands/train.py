"""``videopath train``: train a model from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.options import Verbose
from videopath.core.errors import InputError


def train(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of the training data.", exists=True, file_okay=False)
    ],
    recipe: Annotated[str, typer.Option("--recipe", help="Which training: nano.")] = "nano",
    out: Annotated[
        Path, typer.Option("--out", help="Folder for checkpoints and the finished model.", file_okay=False)
    ] = Path("runs/nano"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    verbose: Verbose = False,
) -> None:
    """Train a model; it can be interrupted and resumed."""
    from videopath.app.console import quiet_libraries, say
    from videopath.app.guard import EXIT_INTERRUPTED

    quiet_libraries(verbose)
    if not resume and out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out} holds an earlier run: add --resume to go on with it, or choose another --out."
        )
    from videopath.model.training.run import train as run

    try:
        typer.echo(run(recipe, data, out, say))
    except KeyboardInterrupt as error:
        say(f"Interrupted. Go on with: videopath train --recipe {recipe} --data {data} --out {out} --resume")
        raise typer.Exit(EXIT_INTERRUPTED) from error
