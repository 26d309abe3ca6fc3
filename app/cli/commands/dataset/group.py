"""The command group ``videopath dataset``."""

from __future__ import annotations

import typer

from videopath.app.cli.commands.dataset.building import build
from videopath.app.cli.commands.dataset.checking import check, lessons

dataset_app = typer.Typer(
    no_args_is_help=True, help="Instruction data: build it from teaching videos, check it, write lessons."
)
for _command in (build, check, lessons):
    dataset_app.command()(_command)
