"""Which way a case goes on: what the conditional edges of the graph ask."""

from __future__ import annotations

from typing import Literal

from videopath.agent.cases.records import Decision
from videopath.agent.decision.looks import settled_look
from videopath.agent.graph.state import CaseState
from videopath.agent.policy import Policy
from videopath.agent.report.builder import unknown_label_of


def policy_of(state: CaseState) -> Policy:
    """The policy that the case was begun with."""
    return Policy.model_validate(state["settings"]["policy"])


def revisions(state: CaseState) -> int:
    """How often a person has sent the case back."""
    return sum(answer["action"] == "revise" for answer in state.get("review", []))


def is_revised(state: CaseState) -> bool:
    """Whether a person took part: they are asked again, whatever the policy says."""
    return revisions(state) > 0


def goes_on_with(state: CaseState) -> Literal["describe", "retrieve", "diagnose", "report"]:
    """The first step that the last decision changes something for."""
    decision = Decision.model_validate(state["review"][-1])
    if decision.action != "revise":
        return "report"
    if decision.segment is not None:
        return "describe"
    return "retrieve" if {"description", "findings"} & set(decision.changes) else "diagnose"


def wants_closer_look(state: CaseState) -> bool:
    """Whether another look may settle what this one did not."""
    looks = state["looks"]
    return looks[-1]["closer"] and len(looks) <= policy_of(state).max_looks


def wants_review(state: CaseState) -> bool:
    """Whether a person is asked before the report."""
    mode = policy_of(state).review
    unsure = bool(settled_look(state["looks"], unknown_label_of(state))["reasons"])
    return mode == "always" or (mode == "uncertain" and unsure)
