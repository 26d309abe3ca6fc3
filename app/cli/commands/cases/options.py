"""Arguments and options of the commands on cases, and the case library that they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary

CaseId = Annotated[str, typer.Argument(metavar="ID", help="Case id, as `videopath cases list` shows it.")]
Reviewer = Annotated[str, typer.Option("--reviewer", help="Who decides or signs.")]
Description = Annotated[
    str | None,
    typer.Option("--description", help="Another description than the agent's.", show_default=False),
]
Findings = Annotated[
    list[str] | None,
    typer.Option(
        "--finding",
        help="A finding in place of the agent's; again for each further one.",
        show_default=False,
    ),
]
Comment = Annotated[str, typer.Option("--comment", help="Kept with the decision.")]
Confirm = Annotated[
    bool,
    typer.Option(
        "--confirm", help="You have read description and findings and confirm them as they then stand."
    ),
]
Diagnosis = Annotated[
    str | None, typer.Option("--diagnosis", help="Another diagnosis than the agent's.", show_default=False)
]


def open_library() -> CaseLibrary:
    from videopath.agent.cases.library import load_case_library
    from videopath.core.settings import load_settings

    return load_case_library(load_settings().home)
