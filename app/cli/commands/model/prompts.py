"""``videopath model prompts``: print the prompts, or write them to a folder to change them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AsJson

if TYPE_CHECKING:
    from videopath.model.prompts.prompt_set import PromptSet


def prompts(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write them to this folder instead: WORDING/NAME.jinja.", file_okay=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the prompts in effect, or write them to a folder.

    The wording "videopath" is for VideoPath's own models, "plain" for every other one. To change prompts, write
    them to a folder, edit or delete files, and set VIDEOPATH_PROMPTS to the folder.
    """
    from videopath.core.choices import WORDINGS
    from videopath.core.settings import load_settings
    from videopath.model.prompts.prompt_set import load_prompts

    folder = load_settings().prompts
    sets = [load_prompts(wording, folder) for wording in WORDINGS]
    if out is not None:
        _write(sets, out)
    elif as_json:
        _emit(sets)
    else:
        _show(sets)


def _show(sets: list[PromptSet]) -> None:
    from videopath.app.cli.console import plain, stdout

    for prompt_set in sets:
        stdout().print(plain(f"{prompt_set.wording} (SHA-256 {prompt_set.sha256})", "bold"))
        for name, source in prompt_set.sources.items():
            own = prompt_set.own.get(name)
            stdout().print(
                plain(f"\n--- {prompt_set.wording}/{name}.jinja" + (f" from {own}" if own else ""), "cyan")
            )
            stdout().print(plain(source.rstrip("\n")), soft_wrap=True)
        stdout().print()


def _emit(sets: list[PromptSet]) -> None:
    import json

    from videopath.app.cli.console import emit_json

    document = {
        prompt_set.wording: {
            "sha256": prompt_set.sha256,
            "prompts": prompt_set.sources,
            "own": {name: str(path) for name, path in prompt_set.own.items()},
        }
        for prompt_set in sets
    }
    emit_json(json.dumps(document, indent=2, ensure_ascii=False))


def _write(sets: list[PromptSet], folder: Path) -> None:
    """Write all prompts. Nothing is written if one of the files exists."""
    from videopath.app.cli.console import say
    from videopath.core.errors import InputError
    from videopath.core.files import write_text
    from videopath.model.prompts.prompt_set import SUFFIX

    files = {
        folder / prompt_set.wording / f"{name}{SUFFIX}": source
        for prompt_set in sets
        for name, source in prompt_set.sources.items()
    }
    existing = next((path for path in files if path.exists()), None)
    if existing is not None:
        raise InputError(f"{existing} exists already, and it is not replaced. Choose another folder.")
    for path, source in files.items():
        write_text(path, source)
    say(f"Edit the files, delete those that you do not change, and set VIDEOPATH_PROMPTS to {folder}.")
    typer.echo(folder)
