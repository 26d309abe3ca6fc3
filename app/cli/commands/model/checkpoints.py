"""``videopath model info``, ``convert``, ``export-adapter`` and ``merge``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videopath.app.cli.options import AcceptLicence, AsJson, Base, Verbose

if TYPE_CHECKING:
    from videopath.model.inference.spec import EngineSpec

Source = Annotated[str, typer.Argument(help="nano, a checkpoint folder or a Hugging Face id.")]
Target = Annotated[Path, typer.Argument(help="New folder to write.", file_okay=False)]


def info(
    source: Source,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show a checkpoint's layout, sizes, LoRA, dtype and hash, without loading its weights."""
    from videopath.app.cli.console import emit_json, quiet_libraries, stdout, table
    from videopath.model.checkpoints.inspection import inspect
    from videopath.model.inference.spec import EngineSpec

    quiet_libraries(verbose)
    facts = inspect(EngineSpec(source, base=base, accept_licence=accept_licence))
    if as_json:
        emit_json(facts.model_dump_json(indent=2))
        return
    rows = (
        (name, _in_words(value))
        for name, value in _flat(facts.model_dump())
        if value not in (None, "", [], {})
    )
    stdout().print(table(("", ""), rows))


def convert(
    source: Source,
    target: Target,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Convert a checkpoint to the Hugging Face layout, which plain transformers loads, and name the differences."""
    from videopath.app.cli.console import quiet_libraries
    from videopath.model.checkpoints.conversion import convert as run
    from videopath.model.inference.spec import EngineSpec

    quiet_libraries(verbose)
    _write(run, EngineSpec(source, base, accept_licence=accept_licence), target, "converting")


def export_adapter(
    source: Annotated[str, typer.Argument(help="Folder of a LoRA.")],
    target: Target,
    base: Base = None,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Write a LoRA with PEFT's key names, and its base checkpoint in the subfolder `base`."""
    from videopath.app.cli.console import quiet_libraries
    from videopath.model.inference.spec import EngineSpec
    from videopath.model.lora.peft_export import export_adapter as run

    quiet_libraries(verbose)
    _write(run, EngineSpec(source, base, accept_licence=accept_licence), target, "exporting")


def merge(
    source: Annotated[str, typer.Argument(help="Folder of a LoRA or a projector.")],
    target: Target,
    base: Base = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Number format of the result: float16, bfloat16 or float32.")
    ] = "float16",
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Compare the result with base and adapter; this needs memory for the network in float32.",
        ),
    ] = True,
    accept_licence: AcceptLicence = False,
    verbose: Verbose = False,
) -> None:
    """Merge a LoRA or a projector into its base, in float32, and write the original layout."""
    from videopath.app.cli.console import progress_bar, quiet_libraries, say
    from videopath.model.inference.spec import EngineSpec
    from videopath.model.lora.merging import merge as run

    quiet_libraries(verbose)
    spec = EngineSpec(source, base, accept_licence=accept_licence)
    with progress_bar("merging") as progress:
        comparison = run(spec, target, dtype=dtype, check=check, progress=progress)
    if comparison:
        say(str(comparison))
    typer.echo(target)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values under dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}".replace("_", " "), value


def _in_words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_in_words(part) for part in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _write(run: Callable[..., object], spec: EngineSpec, target: Path, activity: str) -> None:
    """Write another form of a checkpoint with a progress bar, then print the notes and the target."""
    from videopath.app.cli.console import progress_bar, say

    notes: list[str] = []
    with progress_bar(activity) as progress:
        run(spec, target, progress=progress, tell=notes.append)
    for note in notes:
        say(note)
    typer.echo(target)
