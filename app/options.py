"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer


def _use_home(home: Path | None) -> Path | None:
    """Everything below reads the home folder from the environment, settings file included."""
    if home is not None:
        os.environ["VIDEOPATH_HOME"] = str(home.expanduser().absolute())
    return home


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of the case library; default: $VIDEOPATH_HOME or the user-data folder.",
        callback=_use_home,
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="nano, a checkpoint folder or a hub id; default: nano.", show_default=False
    ),
]
Knowledge = Annotated[
    Path | None,
    typer.Option(
        "--knowledge",
        "-k",
        help="Knowledge base folder; default: the starter that comes along.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="cpu, cuda, cuda:1 or mps; default: the best.", show_default=False),
]
Dtype = Annotated[
    Literal["float32", "float16", "bfloat16"] | None,
    typer.Option("--dtype", help="float32, float16 or bfloat16; default: by device.", show_default=False),
]
Review = Annotated[
    Literal["never", "uncertain", "always"] | None,
    typer.Option("--review", help="When a person is asked; default: never.", show_default=False),
]
Sampling = Annotated[
    Literal["uniform", "fps", "keyframes"], typer.Option("--sampling", help="How the frames are chosen.")
]
Site = Annotated[
    str | None, typer.Option("--site", "-s", help="Where the tissue is from, e.g. colon.", show_default=False)
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the libraries' own progress and warnings.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
