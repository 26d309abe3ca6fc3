"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from videopath.core.errors import VideoPathError


def _use_home(home: Path | None) -> Path | None:
    """Everything below reads the home folder from the environment, settings file included."""
    if home is not None:
        os.environ["VIDEOPATH_HOME"] = str(home.expanduser().absolute())
    return home


class WrongChoice(VideoPathError):
    """A word that an option does not know. Not a ``ValueError``: click would put a box of its own around it."""

    exit_code = 2


def choice(option: str, *allowed: str) -> dict[str, Any]:
    """Settings of an option with few values: a wrong one is told in one sentence."""

    def chosen(value: str) -> str:
        if value not in allowed:
            raise WrongChoice(f"{option} {value[:40]!r} is not known; use one of: {', '.join(allowed)}.")
        return value

    return {"parser": chosen, "metavar": "|".join(allowed), "show_default": False}


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of the case library; default: $VIDEOPATH_HOME or the user-data folder.",
        callback=_use_home,
        show_default=False,
    ),
]
AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="Accept the licence of downloaded weights (CC BY-NC).")
]
AcceptUncalibrated = Annotated[
    bool,
    typer.Option(
        "--accept-uncalibrated",
        help="Report the answers of a model whose confidence was never fitted; else they wait for a person.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="nano, a checkpoint folder or a hub id; default: nano.", show_default=False
    ),
]
Base = Annotated[
    str | None,
    typer.Option("--base", help="The base of a LoRA or projector: a folder or a hub id.", show_default=False),
]
Media = Annotated[
    Path | None,
    typer.Option(
        "--media",
        help="Folder of the videos; default: that of the set.",
        exists=True,
        file_okay=False,
        show_default=False,
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
    typer.Option(
        "--dtype", help="Default: by device.", **choice("--dtype", "float32", "float16", "bfloat16")
    ),
]
Review = Annotated[
    Literal["never", "uncertain", "always"] | None,
    typer.Option(
        "--review",
        help="When a person is asked; default: never.",
        **choice("--review", "never", "uncertain", "always"),
    ),
]
Sampling = Annotated[
    Literal["uniform", "fps", "keyframes"],
    typer.Option(
        "--sampling",
        help="How frames are chosen; default: uniform.",
        **choice("--sampling", "uniform", "fps", "keyframes"),
    ),
]
Action = Annotated[
    Literal["accept", "edit", "revise", "reject"] | None,
    typer.Option(
        "--action",
        help="Your decision; with revise the agent goes on from your correction and asks again.",
        **choice("--action", "accept", "edit", "revise", "reject"),
    ),
]
Site = Annotated[
    str | None, typer.Option("--site", "-s", help="Where the tissue is from, e.g. colon.", show_default=False)
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the libraries' own progress and warnings.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Question = Annotated[
    str | None, typer.Option("--question", "-q", help="A question of your own.", show_default=False)
]
Frames = Annotated[
    int | None,
    typer.Option("--frames", min=1, max=512, help="Frames that the model sees.", show_default=False),
]
Start = Annotated[float | None, typer.Option("--start", min=0, help="First second.", show_default=False)]
End = Annotated[float | None, typer.Option("--end", min=0, help="Last second.", show_default=False)]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="A file, video, slide, patient or group whose records may not be used; may be repeated.",
        show_default=False,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 4 when the agent abstains.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder that also gets report and bundle.", show_default=False),
]
