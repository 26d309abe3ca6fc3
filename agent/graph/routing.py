"""Where a case goes next: the conditions of the graph's conditional edges."""

from __future__ import annotations

from typing import Literal

from videopath.agent.decision.looks import settled_look
from videopath.agent.graph.view import StateView


def step_after_review(case: StateView) -> Literal["describe", "retrieve", "diagnose", "report"]:
    """Return the first step that the last decision changes."""
    decision = case.decisions[-1]
    if decision.action != "revise":
        return "report"
    if decision.segment is not None:
        return "describe"
    return "retrieve" if {"description", "findings"} & set(decision.changes) else "diagnose"


def asks_for_second_opinion(case: StateView) -> bool:
    """Return whether the settings of the case name a second model."""
    return case.settings.second_opinion is not None


def needs_closer_look(case: StateView) -> bool:
    """Return whether another look may settle what this one did not, and the policy allows one more."""
    return case.looks[-1].closer_may_help and len(case.looks) <= case.policy.max_looks


def needs_review(case: StateView) -> bool:
    """Return whether the policy puts the case before a person."""
    mode = case.policy.review
    return mode == "always" or (mode == "uncertain" and bool(settled_look(case).reasons))
