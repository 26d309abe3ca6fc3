"""Media input: a video, image or folder of frames becomes a clip, the sampled RGB frames with their times.

The public names are imported at their first use, so that importing this package is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.media.clip import Clip, open_clip
    from videopath.media.writing.records import BurnedIn, Writing
    from videopath.media.writing.search import find_writing

_HOMES = {
    "BurnedIn": "videopath.media.writing.records",
    "Clip": "videopath.media.clip",
    "Writing": "videopath.media.writing.records",
    "find_writing": "videopath.media.writing.search",
    "open_clip": "videopath.media.clip",
}

__all__ = ["BurnedIn", "Clip", "Writing", "find_writing", "open_clip"]


if not TYPE_CHECKING:  # a type checker would take every name for an existing one

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
