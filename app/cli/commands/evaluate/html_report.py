"""``videopath evaluate report``: write the HTML report of an evaluation again from its report.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli.options import Verbose


def report(
    document: Annotated[
        Path,
        typer.Argument(
            metavar="REPORT",
            help="The report.json that `videopath evaluate SET` wrote.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write; default: next to REPORT, with the suffix .html.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write the HTML report of an evaluation on a test set: one file with tables and plots that needs no network."""
    from videopath.app.cli.console import quiet_libraries
    from videopath.app.figures.html import write_html_report
    from videopath.evaluation.testsets.summary import read_set_report

    quiet_libraries(verbose)
    path = out or document.with_suffix(".html")
    write_html_report(read_set_report(document), path)
    typer.echo(path)
