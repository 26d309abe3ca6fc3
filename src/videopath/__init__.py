"""VideoPath: step-by-step, checkable diagnosis of pathology videos. Research use only.

The four names of everyday use are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.agent import DiagnosticAgent
    from videopath.knowledge import KnowledgeBase
    from videopath.model import load_engine, open_clip

    __version__: str

_HOMES = {
    "DiagnosticAgent": "videopath.agent",
    "KnowledgeBase": "videopath.knowledge",
    "load_engine": "videopath.model",
    "open_clip": "videopath.model",
}

logging.getLogger("videopath").addHandler(logging.NullHandler())

__all__ = ["DiagnosticAgent", "KnowledgeBase", "__version__", "load_engine", "open_clip"]


if not TYPE_CHECKING:  # a type checker would take every name for an existing one

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("videopath-agent")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
