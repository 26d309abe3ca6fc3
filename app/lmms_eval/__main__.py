"""Print the folder for lmms-eval's ``--include_path``, with ``python -m videopath.app.lmms_eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli.errors import GuardedGroup

app = typer.Typer(
    cls=GuardedGroup,
    name="python -m videopath.app.lmms_eval",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def folder(
    questions: Annotated[
        Path | None,
        typer.Option("--set", help="Your own test set, to add as a task.", exists=True, dir_okay=False),
    ] = None,
    media: Annotated[
        Path | None,
        typer.Option(
            "--media",
            help="Folder of its videos; default: the folder of the set.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="New folder for the shipped tasks and yours.", file_okay=False),
    ] = Path("lmms_eval_tasks"),
) -> None:
    """Print the folder of the tasks. With --set, write a new folder that also holds a task for your test set."""
    from videopath.app.lmms_eval import TASKS

    if questions is None:
        typer.echo(TASKS)
        return
    from videopath.app.cli.console import say
    from videopath.app.lmms_eval.folder import write_tasks

    name = write_tasks(questions, media or questions.parent, out)
    say(f"Task of {questions.name}: --tasks {name}")
    typer.echo(out.absolute())


if __name__ == "__main__":
    app()
