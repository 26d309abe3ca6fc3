"""The command group ``videopath model``."""

from __future__ import annotations

import typer

from videopath.app.cli.commands.model.calibrate import calibrate
from videopath.app.cli.commands.model.checkpoints import convert, export_adapter, info, merge
from videopath.app.cli.commands.model.prompts import prompts

model_app = typer.Typer(
    no_args_is_help=True,
    help="Checkpoints: info, convert, merge, export-adapter, calibrate. How models are asked: prompts.",
)
for _command in (calibrate, info, convert, export_adapter, merge, prompts):
    model_app.command()(_command)
