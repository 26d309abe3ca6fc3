"""``videopath train``: train a model from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AcceptLicence, Verbose
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.training.recipe import TransferRecipe


def train(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Folder of the training data.", exists=True, file_okay=False, show_default=False
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", help="nano, vidrip-7b, vidrip-0.5b, or the path of a YAML file.")
    ] = "nano",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for checkpoints and the finished model; default: runs/NAME of the recipe.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    stage: Annotated[
        int | None,
        typer.Option(
            "--stage",
            min=0,
            help="Run only this stage of a transfer, counted from 0; default: all.",
            show_default=False,
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a value of the recipe: seed=3, stages.1.batch=2; can be repeated.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue where the run in --out stopped.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Build the network without weights and print what each stage needs."),
    ] = False,
    gpus: Annotated[
        int, typer.Option("--gpus", min=1, help="With --dry-run: number of GPUs that share the weights.")
    ] = 8,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Train a model from a recipe. A run can be interrupted and resumed.

    On several GPUs: accelerate launch -m videopath.app.cli train …
    """
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.app.cli.errors import EXIT_INTERRUPTED
    from videopath.training.recipe import TransferRecipe, load_recipe

    quiet_libraries(verbose)
    settings = load_recipe(recipe, changes or [])
    if dry_run:
        if not isinstance(settings, TransferRecipe):
            raise InputError(
                f"{recipe} trains from random weights; --dry-run works for transfers, such as vidrip-7b."
            )
        _print_plan(settings, gpus)
        return
    if data is None:
        raise InputError("Training needs --data; use --dry-run to see what the recipe needs.")
    folder = out or Path("runs") / Path(recipe).stem
    if not resume and stage is None and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"{folder} holds an earlier run: add --resume to continue it, or choose another --out."
        )
    try:
        if isinstance(settings, TransferRecipe):
            from videopath.training.transfer.stages import Transfer

            typer.echo(Transfer(settings, data, folder, say, accept_licence).run(stage))
        elif stage is not None:
            raise InputError(f"{recipe} trains from random weights, in one run; --stage works for transfers.")
        else:
            from videopath.training.scratch.stages import train as run

            typer.echo(run(settings, data, folder, say))
    except KeyboardInterrupt as error:
        say(
            f"Interrupted. Continue with: videopath train --recipe {recipe} --data {data} --out {folder} --resume"
        )
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _print_plan(recipe: TransferRecipe, gpus: int) -> None:
    from videopath.app.cli.console import stdout, table
    from videopath.training.transfer.planning import plan_stages

    rows = [
        (
            stage.name,
            f"{stage.tensors:,}",
            f"{stage.parameters:,}",
            ", ".join(f"{part} {count:,}" for part, count in stage.learning.items()),
            f"{stage.tokens:,}",
            f"{stage.states_gib:.1f} GiB",
            f"{stage.activations_gib:.1f} GiB",
        )
        for stage in plan_stages(recipe, gpus)
    ]
    head = (
        "stage",
        "tensors",
        "parameters",
        "trained parameters",
        "tokens per row",
        f"states on each of {gpus} GPUs",
        "activations (estimate)",
    )
    stdout().print(table(head, rows))
