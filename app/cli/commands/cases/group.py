"""The command group ``videopath cases``."""

from __future__ import annotations

import typer

from videopath.app.cli.commands.cases.asking import ask
from videopath.app.cli.commands.cases.browsing import audit, delete, export, list_cases, show
from videopath.app.cli.commands.cases.copying import copy
from videopath.app.cli.commands.cases.deciding import addendum, learn, resume, sign
from videopath.app.cli.commands.cases.replay import replay

cases_app = typer.Typer(
    no_args_is_help=True,
    help="The case library: list, show, audit, ask, resume, sign, addendum, learn, export, copy, delete, replay.",
)
cases_app.command("list")(list_cases)
for _command in (show, audit, ask, resume, sign, addendum, learn, export, copy, delete, replay):
    cases_app.command()(_command)
