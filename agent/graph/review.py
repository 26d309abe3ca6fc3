"""The question that a review puts to a person, and their answer."""

from __future__ import annotations

from langgraph.types import interrupt

from videopath.agent.cases.records import Decision
from videopath.agent.decision.looks import settled_look
from videopath.agent.graph.revision import checked_decision
from videopath.agent.graph.state import Json
from videopath.agent.graph.view import StateView
from videopath.core.errors import CaseError


def ask_for_decision(case: StateView) -> Decision:
    """Return a person's decision.

    If a decision cannot be carried out, the person is asked again; ``error`` in the question says why.
    """
    look = settled_look(case)
    question: Json = {
        "case_id": case.case_id,
        "revision": case.revisions,
        "diagnosis": look.label,
        "differential": look.data["final"]["differential"],
        "description": look.data["described"]["description"],
        "findings": [finding.text for finding in look.described.findings],
        "similar_cases": [neighbour.id for neighbour in look.retrieved.kept],
        "confidence": look.confidence if look.is_calibrated else None,
        "reasons": look.reasons,
    }
    while True:
        try:
            return checked_decision(interrupt(question), look, case.facts, case.unknown_label)
        except CaseError as error:
            question = {**question, "error": str(error)}
