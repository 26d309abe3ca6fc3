"""The agent's tools, each usable alone by any LangChain or LangGraph agent: describe, retrieve, diagnose."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.tools.describe import DescribeTool
    from videopath.tools.diagnose import DiagnoseTool
    from videopath.tools.kit import toolkit
    from videopath.tools.retrieve import RetrieveTool

__all__ = ["DescribeTool", "DiagnoseTool", "RetrieveTool", "toolkit"]

_MODULES = {
    "DescribeTool": "videopath.tools.describe",
    "DiagnoseTool": "videopath.tools.diagnose",
    "RetrieveTool": "videopath.tools.retrieve",
    "toolkit": "videopath.tools.kit",
}


if not TYPE_CHECKING:  # a type checker would take every name for an existing one

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that ``--help`` does not load LangChain."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)
