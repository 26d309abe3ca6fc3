"""Options that several commands have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from videopath.core import choices
from videopath.core.errors import VideoPathError


def _use_home(home: Path | None) -> Path | None:
    """Set VIDEOPATH_HOME, from which everything reads the home folder, the settings file included."""
    if home is not None:
        os.environ["VIDEOPATH_HOME"] = str(home.expanduser().absolute())
    return home


class WrongChoice(VideoPathError):
    """An unknown value of an option. Not a ``ValueError``: click would draw its own box around the message."""

    exit_code = 2


def choice(option: str, *allowed: str) -> dict[str, Any]:
    """Return settings for ``typer.Option`` that reject other values with one sentence.

    Args:
        option: Name of the option, for the message.
        allowed: The values that it accepts.
    """

    def parse(value: str) -> str:
        if value not in allowed:
            raise WrongChoice(f"{option} {value[:40]!r} is not known; use one of: {', '.join(allowed)}.")
        return value

    return {"parser": parse, "metavar": "|".join(allowed), "show_default": False}


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of the case library; default: $VIDEOPATH_HOME, else the user-data folder.",
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
        help="Report answers of a model without a fitted confidence; otherwise they wait for a person's review.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="nano, a checkpoint folder or a Hugging Face id; default: nano.",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="Base checkpoint of a LoRA or projector: a folder or a Hugging Face id.",
        show_default=False,
    ),
]
SecondOpinion = Annotated[
    str | None,
    typer.Option(
        "--second-opinion",
        metavar="MODEL",
        help="Another model that diagnoses the same frames blind; default: none.",
        show_default=False,
    ),
]
Media = Annotated[
    Path | None,
    typer.Option(
        "--media",
        help="Folder of the videos; default: the folder of the test set.",
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
        help="Folder of the knowledge base; default: the bundled starter.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", help="cpu, cuda, cuda:1 or mps; default: the fastest available.", show_default=False
    ),
]
Dtype = Annotated[
    choices.DtypeName | None,
    typer.Option(
        "--dtype",
        help="Number format of the weights; default: depends on the device.",
        **choice("--dtype", *choices.DTYPE_NAMES),
    ),
]
Review = Annotated[
    choices.ReviewMode | None,
    typer.Option(
        "--review",
        help="When a case waits for a person's review; default: never.",
        **choice("--review", *choices.REVIEW_MODES),
    ),
]
Sampling = Annotated[
    choices.Sampling,
    typer.Option(
        "--sampling",
        help="How frames are chosen from the video; default: uniform.",
        **choice("--sampling", *choices.SAMPLINGS),
    ),
]
Writing = Annotated[
    choices.WritingRule | None,
    typer.Option(
        "--writing",
        help="Which burned-in writing is filled before anything sees the frames. mask-personal: only what may name a "
        "person, and codes; keep: none. Default: mask-all.",
        **choice("--writing", *choices.WRITING_RULES),
    ),
]
UmPerPixel = Annotated[
    float | None,
    typer.Option(
        "--um-per-pixel",
        metavar="NUMBER",
        help="Micrometres of tissue per pixel of the video, for lengths and the scale bar; default: not known.",
        show_default=False,
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="The part of each frame to look at, as shares from 0 to 1, or in pixels if a number is above 1; default: all.",
        show_default=False,
    ),
]
Mask = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="A further place that is filled in every frame, given as for --crop; repeatable.",
        show_default=False,
    ),
]
Unmask = Annotated[
    list[str] | None,
    typer.Option(
        "--unmask",
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="A place in which found writing is not filled; repeatable. Whatever is written there can be read in the "
        "frames and by everyone who sees the case.",
        show_default=False,
    ),
]
Action = Annotated[
    choices.ReviewAction | None,
    typer.Option(
        "--action",
        help="Your decision. After revise the agent continues from your corrections and asks again.",
        **choice("--action", *choices.REVIEW_ACTIONS),
    ),
]
Site = Annotated[
    str | None,
    typer.Option("--site", "-s", help="Organ that the tissue comes from, such as colon.", show_default=False),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show the libraries' progress and warnings, and tracebacks.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Question = Annotated[
    str | None,
    typer.Option(
        "--question", "-q", help="Your question; default: the most likely diagnosis.", show_default=False
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames",
        min=1,
        max=choices.MAX_FRAMES,
        help="Number of frames that the model sees; default: the checkpoint's own.",
        show_default=False,
    ),
]
Start = Annotated[
    float | None,
    typer.Option("--start", min=0, help="First second to look at; default: 0.", show_default=False),
]
End = Annotated[
    float | None,
    typer.Option("--end", min=0, help="Last second to look at; default: the end.", show_default=False),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Do not use records of this file, video, slide, patient or group; can be repeated.",
        show_default=False,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with code 4 if the agent abstains.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Also write the report and the bundle to this folder.", show_default=False
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=1,
        max=65535,
        help="Serve figures for Prometheus at this port, path /metrics; default: none.",
        show_default=False,
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option(
        "--metrics-host", help="Address that the figures are served at; whoever reaches it can read them."
    ),
]
