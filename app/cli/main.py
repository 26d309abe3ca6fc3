"""The command ``videopath``.

Exit codes: 0 done; 1 failed; 2 wrong usage or unreadable input; 3 waiting for a person's review; 4 the agent
abstained (with ``--strict``); 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.main import get_command

from videopath.app.cli.commands.batch import batch
from videopath.app.cli.commands.cases.group import cases_app
from videopath.app.cli.commands.dataset.group import dataset_app
from videopath.app.cli.commands.demo import demo
from videopath.app.cli.commands.diagnose import diagnose
from videopath.app.cli.commands.doctor import doctor
from videopath.app.cli.commands.evaluate.group import evaluate_app
from videopath.app.cli.commands.knowledge.group import knowledge_app
from videopath.app.cli.commands.mcp import mcp
from videopath.app.cli.commands.model.group import model_app
from videopath.app.cli.commands.skill import skill
from videopath.app.cli.commands.train import train
from videopath.app.cli.commands.web_app import web_app
from videopath.app.cli.commands.worker import worker
from videopath.app.cli.errors import GuardedGroup, say_thread_error, say_unexpected_error

app = typer.Typer(
    cls=GuardedGroup,
    name="videopath",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Step-by-step, checkable diagnosis of pathology videos. Research use only.",
)


def main() -> None:
    """Run the command line (entry point of the console script)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")  # JSON is UTF-8 in every locale
    threading.excepthook = say_thread_error
    if "--verbose" not in sys.argv:
        sys.excepthook = say_unexpected_error
    try:
        get_command(app)()  # app() would install Typer's own excepthook
    finally:
        gc.freeze()  # skip the collection at exit: it takes a second after torch was imported


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(version("videopath-agent"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json", help="Write the log to stderr, one JSON object a line, and nothing else there."
        ),
    ] = False,
) -> None:
    """Step-by-step, checkable diagnosis of pathology videos. Research use only."""
    if log_json:
        os.environ["VIDEOPATH_LOG_JSON"] = "1"  # the command's own processes read it as well
    if os.environ.get("VIDEOPATH_LOG_JSON"):
        from videopath.app.cli.console import show_requested_log

        show_requested_log(as_json=log_json or None)


app.command("demo")(demo)
app.command("diagnose")(diagnose)
app.command("batch")(batch)
app.command("app")(web_app)
app.command("worker")(worker)
app.add_typer(cases_app, name="cases")
app.add_typer(knowledge_app, name="knowledge")
app.add_typer(model_app, name="model")
app.add_typer(dataset_app, name="dataset")
app.command("train")(train)
app.add_typer(evaluate_app, name="evaluate")
app.command("mcp")(mcp)
app.command("skill")(skill)
app.command("doctor")(doctor)


if __name__ == "__main__":
    main()
