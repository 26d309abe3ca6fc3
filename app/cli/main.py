"""The command ``videopath``.

Exit codes: 0 done; 1 failed; 2 wrong usage or unreadable input; 3 waiting for a person's review; 4 the agent
abstained (with ``--strict``); 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.main import get_command

from videopath.app.cli.commands import app as web
from videopath.app.cli.commands import cases, dataset, demo, diagnose, train
from videopath.app.cli.commands.evaluate import clips as evaluate
from videopath.app.cli.commands.knowledge import changing as knowledge
from videopath.app.cli.commands.model import checkpoints as model
from videopath.app.cli.errors import GuardedGroup, say_unexpected
from videopath.app.cli.options import AsJson, Home

app = typer.Typer(
    cls=GuardedGroup,
    name="videopath",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Step-by-step, checkable diagnosis of pathology videos. Research use only.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("videopath-agent"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Step-by-step, checkable diagnosis of pathology videos. Research use only."""


app.command("demo")(demo.demo)
app.command("diagnose")(diagnose.diagnose)
app.command("app")(web.app)
app.add_typer(cases.app, name="cases")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(model.app, name="model")
app.add_typer(dataset.app, name="dataset")
app.command("train")(train.train)
app.add_typer(evaluate.app, name="evaluate")


@app.command("doctor")
def doctor(as_json: AsJson = False, home: Home = None) -> None:
    """What is here, what is missing, and what to do about it."""
    from videopath.app.cli.commands.doctor import doctor as look

    look(as_json)


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(
                encoding="utf-8", errors="replace"
            )  # JSON is UTF-8, whatever the terminal's language
    if "--verbose" not in sys.argv:
        sys.excepthook = say_unexpected
    try:
        get_command(app)()  # not app(): that would put Typer's own excepthook in its place
    finally:
        gc.freeze()  # nothing is left to be collected: the search at the end would take a second after torch


if __name__ == "__main__":
    main()
