"""The diagnostic agent: a graph of steps around the tools, its cases and reports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.library import CaseLibrary, load_case_library, new_case_id
    from videopath.agent.policy import Policy
    from videopath.agent.records import Candidate, CaseReport, Decision, Finding, SimilarCase, Step
    from videopath.agent.steps import Progress

_HOMES = {
    "Candidate": "records",
    "CaseLibrary": "library",
    "CaseReport": "records",
    "Decision": "records",
    "DiagnosticAgent": "agent",
    "Finding": "records",
    "Policy": "policy",
    "Progress": "steps",
    "SimilarCase": "records",
    "Step": "records",
    "load_case_library": "library",
    "new_case_id": "library",
}

__all__ = [
    "Candidate",
    "CaseLibrary",
    "CaseReport",
    "Decision",
    "DiagnosticAgent",
    "Finding",
    "Policy",
    "Progress",
    "SimilarCase",
    "Step",
    "load_case_library",
    "new_case_id",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: LangGraph is not loaded for ``--help``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
