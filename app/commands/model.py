"""``videopath model``: what a checkpoint is, and other layouts of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.options import AsJson, Verbose

app = typer.Typer(no_args_is_help=True, help="Checkpoints: info, convert, merge.")

Base = Annotated[
    str | None,
    typer.Option("--base", help="The base of a LoRA or projector: a folder or a hub id.", show_default=False),
]
AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="Accept the licence of downloaded weights (CC BY-NC).")
]
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
    from videopath.app.console import emit_json, quiet_libraries, stdout, table
    from videopath.model.convert import inspect

    quiet_libraries(verbose)
    found = inspect(_place(source), base=base, accept_licence=accept_licence)
    if as_json:
        emit_json(found.model_dump_json(indent=2))
        return
    rows = (
        (name.replace("_", " "), _shown(value))
        for name, value in found.model_dump().items()
        if value is not None
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
    """Write the Hugging Face layout, shard by shard, that plain transformers loads."""
    from videopath.app.console import progress_bar, quiet_libraries
    from videopath.model.convert import convert as run

    quiet_libraries(verbose)
    with progress_bar("converting") as progress:
        run(_place(source), target, base=base, accept_licence=accept_licence, progress=progress)
    typer.echo(target)


@app.command()
def merge(
    source: Annotated[str, typer.Argument(help="Folder of a LoRA or of a projector.")],
    target: Target,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Merge a LoRA with its base and write the original's layout."""
    from videopath.app.console import progress_bar, quiet_libraries
    from videopath.model.convert import merge as run

    quiet_libraries(verbose)
    with progress_bar("merging") as progress:
        run(source, target, base=base, accept_licence=accept_licence, progress=progress)
    typer.echo(target)


def _place(source: str) -> str | Path:
    """``nano`` is the bundled folder."""
    from videopath.model import nano

    return Path(nano.__file__).parent if source == "nano" else source


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(part) for part in value)
    return str(value)
