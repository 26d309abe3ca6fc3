"""Arguments and options of the commands on knowledge bases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Folder = Annotated[Path, typer.Argument(help="Folder of the knowledge base.")]
MaybeFolder = Annotated[
    Path | None,
    typer.Argument(help="Folder of the knowledge base; default: the starter.", show_default=False),
]
SearchedBase = Annotated[
    Path | None,
    typer.Option(
        "--knowledge", "-k", help="Folder of the knowledge base; default: the starter.", show_default=False
    ),
]
OnError = Annotated[
    Literal["stop", "skip"],
    typer.Option("--on-error", help="At a damaged record: stop, or leave it out, name it and count it."),
]
MediaFolder = Annotated[
    Path | None,
    typer.Option(
        "--media",
        help="Folder of the records' videos and images: they are then found by what they show, too.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]
NamedEncoder = Annotated[
    list[str] | None,
    typer.Option(
        "--image-encoder",
        help="Those of the knowledge base that are models other than nano: none is loaded because a knowledge base "
        "names it.",
        show_default=False,
    ),
]
