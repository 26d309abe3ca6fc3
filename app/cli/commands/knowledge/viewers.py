"""Viewers of the pictures of knowledge bases, for the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase, Viewer
    from videopath.knowledge.storage.manifest import Views


def viewer_by_name(encoders: str | Sequence[str], media: Path | None, views: Views = "parts") -> Viewer:
    """A viewer of the media in a folder; none: of whole paths."""
    from videopath.tools.frame_encoders.loading import load_frame_encoder
    from videopath.tools.frame_encoders.media_viewer import MediaViewer

    return MediaViewer(load_frame_encoder(encoders), media, views=views)


def viewer_of(base: KnowledgeBase, media: Path | None, named: Sequence[str] | None = None) -> Viewer:
    """A viewer with the encoder of a knowledge base's pictures; a model as encoder only where the user names it.

    A knowledge base may be a stranger's, and its encoder a folder or a hub id.
    """
    from videopath.core.settings import load_settings
    from videopath.tools.frame_encoders.loading import TOWER, is_loaded_by_name

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
