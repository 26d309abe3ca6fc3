"""The command group ``videopath knowledge``."""

from __future__ import annotations

import typer

from videopath.app.cli.commands.knowledge.changing import add, build, edit, merge, remove, update
from videopath.app.cli.commands.knowledge.inspecting import audit, history, info, log, measure, search, verify

knowledge_app = typer.Typer(
    no_args_is_help=True, help="Knowledge bases: records that are found by what they say and what they show."
)
for _command in (
    build,
    add,
    update,
    edit,
    remove,
    merge,
    search,
    info,
    measure,
    log,
    history,
    verify,
    audit,
):
    knowledge_app.command()(_command)
