"""What the commands on knowledge bases share: options, damaged entries, viewers, what a base holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase, Viewer
    from videopath.knowledge.records.record import LeftOut
    from videopath.knowledge.storage.manifest import EncoderMark, Views

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
_NAMED = 10  # damaged records that are named; more are only counted


@contextmanager
def left_out_of(on_error: str) -> Iterator[LeftOut | None]:
    """Names the first damaged records on stderr and counts them all; with "stop" there is nobody to be told."""
    from videopath.app.cli.console import say

    damaged: list[str] = []
    yield (lambda error: damaged.append(str(error))) if on_error == "skip" else None
    for sentence in damaged[:_NAMED]:
        say(f"Left out: {sentence}")
    if damaged:
        say(f"{len(damaged)} damaged {'entry was' if len(damaged) == 1 else 'entries were'} left out.")


def viewer_by_name(encoders: str | Sequence[str], media: Path | None, views: Views = "parts") -> Viewer:
    """A viewer of the media in a folder; none: of whole paths."""
    from videopath.tools.frame_encoders.viewer import MediaViewer, load_frame_encoder

    return MediaViewer(load_frame_encoder(encoders), media, views=views)


def viewer_of(base: KnowledgeBase, media: Path | None, named: Sequence[str] | None = None) -> Viewer:
    """A viewer with the encoder of a knowledge base's pictures; a model as encoder only where the user names it.

    A knowledge base may be a stranger's, and its encoder a folder or a hub id.
    """
    from videopath.core.settings import load_settings
    from videopath.tools.frame_encoders.viewer import TOWER, is_loaded_by_name

    mark = base.image_encoder
    if mark is None:
        raise InputError(
            f"The knowledge base {base.folder} has no pictures; build it again with --media to give it some."
        )
    if not is_loaded_by_name(mark.name, (f"{TOWER}:{load_settings().model}", *(named or ()))):
        options = " ".join(f"--image-encoder {one.name}" for one in mark.each)
        raise InputError(
            f"The pictures of {base.folder} were encoded by {mark.name}, a model that is not loaded because a knowledge "
            f"base names it: if you trust it, give {options}."
        )
    return viewer_by_name(mark.name, media, mark.views)


def show_info(base: KnowledgeBase, as_json: bool) -> None:
    from videopath.app.cli.console import emit_json, stdout, table

    info = base.info()
    if as_json:
        emit_json(info.model_dump_json(indent=2))
        return
    rows = [
        ("folder", info.folder),
        ("version", f"{info.version}, data {info.data_sha256[:12]}…"),
        ("records", f"{info.records} from {info.sources} sources, {info.diagnosed} with a diagnosis"),
        ("sites", ", ".join(f"{site} {count}" for site, count in info.sites.items())),
        ("licences", ", ".join(f"{name} {count}" for name, count in info.licences.items())),
        ("embedder", _encoder_line(info.embedder)),
        ("pictures", _encoder_line(info.image_encoder)),
        *((f"{view} vectors", "; ".join(parts)) for view, parts in info.index.items()),
        ("index", f"{info.index_sha256[:12]}…"),
    ]
    stdout().print(table(("", ""), rows))


def _encoder_line(mark: EncoderMark | None) -> str:
    return f"{mark.name} ({mark.sha256[:12]}…)" if mark else "none"
