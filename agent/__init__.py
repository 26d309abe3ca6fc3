"""The diagnostic agent: a graph of steps around the tools, its cases and reports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.cases.library import CaseLibrary, load_case_library, new_case_id
    from videopath.agent.cases.records import (
        Candidate,
        CaseReport,
        Decision,
        Finding,
        FollowUp,
        SecondOpinion,
        SimilarCase,
        Step,
    )
    from videopath.agent.cases.request import CaseRequest
    from videopath.agent.graph.steps import Progress
    from videopath.agent.policy import Policy

_HOMES = {
    "Candidate": "videopath.agent.cases.records",
    "CaseLibrary": "videopath.agent.cases.library",
    "CaseReport": "videopath.agent.cases.records",
    "CaseRequest": "videopath.agent.cases.request",
    "Decision": "videopath.agent.cases.records",
    "DiagnosticAgent": "videopath.agent.agent",
    "Finding": "videopath.agent.cases.records",
    "FollowUp": "videopath.agent.cases.records",
    "Policy": "videopath.agent.policy",
    "Progress": "videopath.agent.graph.steps",
    "SecondOpinion": "videopath.agent.cases.records",
    "SimilarCase": "videopath.agent.cases.records",
    "Step": "videopath.agent.cases.records",
    "load_case_library": "videopath.agent.cases.library",
    "new_case_id": "videopath.agent.cases.library",
}

__all__ = [
    "Candidate",
    "CaseLibrary",
    "CaseReport",
    "CaseRequest",
    "Decision",
    "DiagnosticAgent",
    "Finding",
    "FollowUp",
    "Policy",
    "Progress",
    "SecondOpinion",
    "SimilarCase",
    "Step",
    "load_case_library",
    "new_case_id",
]


if not TYPE_CHECKING:  # a type checker would take every name for an existing one

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used: LangGraph is not loaded for ``--help``."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
