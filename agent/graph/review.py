"""The question that a review puts to a person, and their answer."""

from __future__ import annotations

from langgraph.types import interrupt

from videopath.agent.cases.records import Decision
from videopath.agent.decision.looks import settled_look
from videopath.agent.graph.revision import checked_decision
from videopath.agent.graph.routing import revisions
from videopath.agent.graph.state import CaseState, Json
from videopath.agent.report.builder import is_fitted_look, unknown_label_of
from videopath.core.errors import CaseError


def asked_decision(state: CaseState) -> Decision:
    """A person's decision; one that cannot be carried out is asked for again, with the reason under ``error``."""
    look = settled_look(state["looks"], unknown_label_of(state))
    question: Json = {
        "case_id": state["case_id"],
        "revision": revisions(state),
        "diagnosis": look["final"]["label"],
        "differential": look["final"]["differential"],
        "description": look["described"]["description"],
        "findings": [finding["text"] for finding in look["described"]["findings"]],
        "similar_cases": [case["id"] for case in look["retrieved"]["neighbours"] if case["kept"]],
        "confidence": look["confidence"] if is_fitted_look(state, look) else None,
        "reasons": look["reasons"],
    }
    while True:
        try:
            return checked_decision(interrupt(question), look, state["facts"], unknown_label_of(state))
        except CaseError as error:
            question = {**question, "error": str(error)}
