"""``videopath model``: what a checkpoint is, and other layouts of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from videopath.app.cli.commands.model.calibrate import calibrate
from videopath.app.cli.options import AcceptLicence, AsJson, Base, Verbose

app = typer.Typer(no_args_is_help=True, help="Checkpoints: info, convert, merge, export-adapter, calibrate.")
app.command()(calibrate)

Source = Annotated[str, typer.Argument(help="nano, a checkpoint folder or a hub id.")]
Target = Annotated[Path, typer.Argument(help="A new folder.", file_okay=False)]


@app.command()
def info(
    source: Source,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """What a checkpoint is: layout, sizes, LoRA, dtype, hash. No weights are loaded."""
    from videopath.app.cli.console import emit_json, quiet_libraries, stdout, table
    from videopath.model.checkpoints.inspection import inspect

    quiet_libraries(verbose)
    found = inspect(source, base=base, accept_licence=accept_licence)
    if as_json:
        emit_json(found.model_dump_json(indent=2))
        return
    rows = (
        (name, _shown(value)) for name, value in _lines(found.model_dump()) if value not in (None, "", [], {})
    )
    stdout().print(table(("", ""), rows))


@app.command()
def convert(
    source: Source,
    target: Target,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Write the Hugging Face layout, shard by shard, that plain transformers loads; say what it computes otherwise."""
    from videopath.app.cli.console import progress_bar, quiet_libraries, say
    from videopath.model.checkpoints.conversion import convert as run

    quiet_libraries(verbose)
    told: list[str] = []
    with progress_bar("converting") as progress:
        run(source, target, base=base, accept_licence=accept_licence, progress=progress, tell=told.append)
    for sentence in told:
        say(sentence)
    typer.echo(target)


@app.command("export-adapter")
def export_adapter(
    source: Annotated[str, typer.Argument(help="Folder of a LoRA.")],
    target: Target,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Write a LoRA in PEFT's own key names, and in its folder `base` the checkpoint that it goes with."""
    from videopath.app.cli.console import progress_bar, quiet_libraries, say
    from videopath.model.lora.peft_export import export_adapter as run

    quiet_libraries(verbose)
    told: list[str] = []
    with progress_bar("exporting") as progress:
        run(source, target, base=base, accept_licence=accept_licence, progress=progress, tell=told.append)
    for sentence in told:
        say(sentence)
    typer.echo(target)


@app.command()
def merge(
    source: Annotated[str, typer.Argument(help="Folder of a LoRA or of a projector.")],
    target: Target,
    base: Base = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Number format that is written: float16, bfloat16, float32.")
    ] = "float16",
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Compare with the base and the adapter beside it: needs memory for the network in float32.",
        ),
    ] = True,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Merge a LoRA or a projector with its base, in float32, and write the original's layout."""
    from videopath.app.cli.console import progress_bar, quiet_libraries, say
    from videopath.model.lora.merging import merge as run

    quiet_libraries(verbose)
    with progress_bar("merging") as progress:
        found = run(
            source, target, base=base, dtype=dtype, accept_licence=accept_licence, check=check, progress=progress
        )  # fmt: skip
    if found:
        say(str(found))
    typer.echo(target)


def _lines(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}".replace("_", " "), value


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown(part) for part in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
