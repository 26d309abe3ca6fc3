"""Arguments and options of the commands on cases, and the case library that they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary

CaseId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the case, as `videopath cases list` shows it.")
]
Reviewer = Annotated[str, typer.Option("--reviewer", help="Name of the reviewer.")]
Description = Annotated[
    str | None,
    typer.Option("--description", help="Your description, instead of the agent's.", show_default=False),
]
Findings = Annotated[
    list[str] | None,
    typer.Option(
        "--finding",
        help="A finding of yours; together they replace the agent's. Can be repeated.",
        show_default=False,
    ),
]
Comment = Annotated[str, typer.Option("--comment", help="Comment, kept with the decision.")]
Confirm = Annotated[
    bool,
    typer.Option("--confirm", help="Confirm that you have read description and findings, with your changes."),
]
Diagnosis = Annotated[
    str | None,
    typer.Option("--diagnosis", help="Your diagnosis, instead of the agent's.", show_default=False),
]


def open_library() -> CaseLibrary:
    from videopath.agent.cases.library import load_case_library
    from videopath.core.settings import load_settings

    return load_case_library(load_settings().home)
