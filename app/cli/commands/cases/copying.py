"""``videopath cases copy``: copy a case library from SQLite files into a PostgreSQL database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli import options
from videopath.app.cli.errors import EXIT_FAILED
from videopath.core.errors import InputError


def copy(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="ADDRESS",
            help="The PostgreSQL database, postgresql://user@host:5432/name; default: $VIDEOPATH_DATABASE.",
            show_default=False,
        ),
    ] = None,
    to_home: Annotated[
        Path | None,
        typer.Option(
            "--to-home",
            metavar="FOLDER",
            help="Also copy the files of the cases to this home folder; default: they stay in the home folder.",
            show_default=False,
        ),
    ] = None,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Copy the cases of a home folder from its SQLite files into a PostgreSQL database.

    Nothing is changed in the SQLite files. Cases that the database has already are not copied again, so a copy that was stopped
    is continued by the same command. Checkpoints of unfinished cases and the queue are copied, too. Cases that a process
    works on, or that differ in the database, are left out and named.

    Exit codes: 0 all cases are in the database, 1 cases were left out, 2 wrong usage.
    """
    from videopath.agent.cases.copying import copy_library
    from videopath.agent.cases.library import CaseLibrary
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.core.settings import load_settings

    quiet_libraries(verbose)
    settings = load_settings()
    address = to or (settings.database and settings.database.get_secret_value())
    if not address:
        raise InputError("Name the database with --to postgresql://… or VIDEOPATH_DATABASE.")
    source = CaseLibrary(settings.home)
    target = CaseLibrary((to_home or settings.home).expanduser().absolute(), address)
    done = copy_library(source, target)
    for case_id, why in done.left_out.items():
        say(f"Case {case_id} was left out: {why}.")
    say(
        f"{done.copied:,} cases copied, {done.present:,} were there already, {len(done.left_out):,} left out."
    )
    if done.left_out:
        raise typer.Exit(EXIT_FAILED)
