"""Viewers of the pictures of knowledge bases, for the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase, Viewer
    from videopath.knowledge.storage.manifest import FrameViews


def viewer_by_name(encoders: str | Sequence[str], media: Path | None, views: FrameViews = "parts") -> Viewer:
    """Return a viewer with these encoders.

    Args:
        encoders: Names of frame encoders, such as "tower:nano".
        media: Folder of the records' media; None: their paths are complete.
        views: Whether a frame is shown whole or in parts.
    """
    from videopath.core.settings import load_settings
    from videopath.tools.frame_encoders.loading import load_frame_encoder
    from videopath.tools.frame_encoders.media_viewer import MediaViewer

    return MediaViewer(load_frame_encoder(encoders), media, views=views, writing=load_settings().writing)


def viewer_of(base: KnowledgeBase, media: Path | None, trusted: Sequence[str] | None = None) -> Viewer:
    """Return a viewer with the encoder of a knowledge base's pictures.

    A knowledge base may come from a stranger and name any folder or hub id as its encoder. A model is
    therefore loaded only if the user names it, or if it is the model of the settings.

    Args:
        base: The knowledge base.
        media: Folder of the media; None: their paths are complete.
        trusted: Encoders that the user named.

    Raises:
        InputError: If the base has no pictures, or if its encoder is a model that is not trusted.
    """
    from videopath.core.settings import load_settings
    from videopath.tools.frame_encoders.loading import TOWER, is_loaded_by_name

    mark = base.image_encoder
    if mark is None:
        raise InputError(
            f"The knowledge base {base.folder} has no pictures; build it again with --media to add them."
        )
    if not is_loaded_by_name(mark.name, (f"{TOWER}:{load_settings().model}", *(trusted or ()))):
        options = " ".join(f"--image-encoder {part.name}" for part in mark.each)
        raise InputError(
            f"The pictures of {base.folder} were encoded by {mark.name}. A model is not loaded only because a knowledge "
            f"base names it; if you trust it, add {options}."
        )
    return viewer_by_name(mark.name, media, mark.views)
