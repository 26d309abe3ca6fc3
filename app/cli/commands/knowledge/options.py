"""Arguments and options of the commands on knowledge bases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.core.choices import OnUnreadable

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
    OnUnreadable,
    typer.Option("--on-error", help="At a damaged record: stop, or skip it and report it."),
]
MediaFolder = Annotated[
    Path | None,
    typer.Option(
        "--media",
        help="Folder of the records' videos and images; the records can then also be found by what they show.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]
NamedEncoder = Annotated[
    list[str] | None,
    typer.Option(
        "--image-encoder",
        help="Allow this frame encoder of the knowledge base; needed if it is a model other than nano. Without it no "
        "model is loaded because a knowledge base names it.",
        show_default=False,
    ),
]
