"""Who said what of a case, in order: the model (blind), a second model, the agent, people.

All writers of a report use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from videopath.agent.cases.records import CaseReport, Decision
from videopath.agent.report.phrases import blind_in_words, marked
from videopath.core.clock import minute

BLIND = "the model, before it saw similar cases"
AGENT = "the agent"

_ACTS = {"accept": "accepted", "edit": "corrected", "revise": "sent the case back", "reject": "rejected"}


@dataclass(frozen=True)
class Statement:
    """What a model, the agent or a person said."""

    by: Literal["model", "second model", "agent", "person"]
    who: str
    diagnosis: str = ""
    """Empty if they gave no diagnosis of their own."""
    act: str = ""
    """What a person did: accepted, corrected, revised, rejected, signed, added an addendum, or read the case a second time."""
    when: str = ""
    comment: str = ""

    def __str__(self) -> str:
        when = f" on {minute(self.when)} UTC" if self.when else ""
        act = f" {self.act}{when}" if self.act else ""
        words = [self.diagnosis, f"“{self.comment}”" if self.comment else ""]
        content = "; ".join(word for word in words if word)
        return f"{self.who}{act}: {content}" if content else f"{self.who}{act}"


def statements(report: CaseReport) -> list[Statement]:
    """Return what was said of a case, in order."""
    model = [Statement("model", BLIND, blind_in_words(report))] if report.blind_diagnosis else []
    diagnosis = agent_diagnosis_in_words(report)
    agent = [Statement("agent", AGENT, diagnosis)] if diagnosis else []
    return [
        *model,
        *_second_opinion(report),
        *agent,
        *_decisions(report),
        *_addenda(report),
        *_second_readings(report),
    ]


def agent_diagnosis(report: CaseReport) -> str:
    """Return the agent's own final label, even if a person's edit has replaced it."""
    for decision in report.standing_review:
        if decision.action == "edit" and "diagnosis" in decision.changes:
            return str(decision.changes["diagnosis"]["from"])
        if decision.action == "edit" and decision.diagnosis and not decision.changes and report.differential:
            return report.differential[
                0
            ].label  # a decision of an early version, which did not record changes
    return report.diagnosis


def agent_diagnosis_in_words(report: CaseReport) -> str:
    """Return the agent's own final label, marked if it is not a known term; empty if it has none."""
    return marked(report, agent_diagnosis(report))


def writer_of(field: Literal["diagnosis", "description", "findings"], report: CaseReport) -> str | None:
    """Return the person who wrote a field of the report; None if the agent did."""
    writer = None
    for decision in report.standing_review:
        if _is_new_segment(decision) and field != "diagnosis":
            writer = None
        elif field in decision.changes:
            writer = decision.reviewer or "an unnamed reviewer"
    return writer


def is_confirmed(report: CaseReport) -> bool:
    """Return whether a person wrote description and findings, or confirmed them at the signature."""
    signature = report.standing_review[-1] if report.standing_review else None
    written = bool(writer_of("description", report)) and bool(
        writer_of("findings", report) or not report.findings
    )
    return written or bool(signature and signature.confirmed)


def retrieval_sentence(report: CaseReport) -> str:
    """Return whether the similar cases changed the answer.

    If a reviewer corrected the description, their effect and that of the similar cases cannot be separated.
    """
    if any(
        {"description", "findings"} & set(d.changes) for d in report.standing_review if d.action == "revise"
    ):
        return "The blind diagnosis was made before the reviewer corrected the description."
    if report.changed_by_retrieval:
        return "The similar cases changed the answer."
    return "The similar cases did not change it."


def _second_opinion(report: CaseReport) -> Iterator[Statement]:
    opinion = report.second_opinion
    if opinion is not None:
        said = opinion.label or f"no answer ({opinion.failure})"
        yield Statement("second model", f"a second model, blind: {opinion.model}", said)


def _decisions(report: CaseReport) -> Iterator[Statement]:
    for number, decision in enumerate(report.review, 1):
        signs = report.status == "signed" and number == len(report.review)
        act = _ACTS[decision.action]
        if decision.withdrawn:
            act += f" (withdrawn {minute(decision.withdrawn)} UTC)"
        yield Statement(
            "person",
            decision.reviewer or "an unnamed reviewer",
            report.diagnosis if signs else decision.diagnosis or "",
            ("signed" if act == "accepted" else "corrected and signed") if signs else act,
            decision.decided,
            decision.comment,
        )


def _addenda(report: CaseReport) -> Iterator[Statement]:
    for added in report.addenda:
        yield Statement(
            "person", added.reviewer, added.diagnosis or "", "added an addendum", added.added, added.text
        )


def _second_readings(report: CaseReport) -> Iterator[Statement]:
    for reading in report.second_readings:
        yield Statement(
            "person",
            reading.reader,
            reading.diagnosis,
            "second reading, " + ("agrees" if reading.agrees else "disagrees"),
            reading.read,
            reading.comment,
        )


def _is_new_segment(decision: Decision) -> bool:
    return decision.action == "revise" and decision.segment is not None
