"""Who said what of a case, in order: the model blind, the agent after the similar cases, a person. All writers take it
from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from videopath.agent.records import CaseReport, Decision
from videopath.tools.diagnose import same_label

NOT_A_TERM = "not a known term"


@dataclass(frozen=True)
class WhoSaidWhat:
    """The diagnoses of one case by their authors; the agent's labels are marked where their words do not exist."""

    blind: str  # the model, before it saw the similar cases; empty where it was not asked
    agent: str  # the agent, after them; "none" where it has no label
    person: str  # what a person signed or wrote; empty where nobody did
    reviewer: str  # that person; empty without one
    retrieval: str  # whether the similar cases changed the agent's answer, in a sentence

    @property
    def by_person(self) -> bool:
        """Whether the diagnosis at the head is a person's: confidence, advice and rationale are then not of it."""
        return bool(self.person)

    def rows(self) -> list[tuple[str, str]]:
        """Author and diagnosis, in order; nobody who said nothing."""
        told = (
            ("Model, before the similar cases", self.blind),
            ("Agent, after them", self.agent),
            (self.reviewer, self.person),
        )
        return [(who, what) for who, what in told if what]


def who_said_what(report: CaseReport) -> WhoSaidWhat:
    """The diagnoses of a report with their authors."""
    decision = deciding(report)
    return WhoSaidWhat(
        blind=_blind(report),
        agent=marked(report, agent_diagnosis(report)) or "none",
        person=report.diagnosis if decision else "",
        reviewer=(decision.reviewer or "An unnamed reviewer") if decision else "",
        retrieval=retrieval_sentence(report),
    )


def deciding(report: CaseReport) -> Decision | None:
    """The decision that made the diagnosis at the head a person's: it signed the case, or wrote another diagnosis."""
    made = [decision for decision in report.review if decision.action in ("accept", "edit")]
    if report.status != "signed":
        made = [decision for decision in made if decision.diagnosis]
    return made[-1] if made else None


def is_by_person(report: CaseReport) -> bool:
    """Whether the diagnosis at the head of a report is a person's."""
    return report.status == "signed" or deciding(report) is not None


def agent_diagnosis(report: CaseReport) -> str:
    """The agent's own final label, also where a person's edit has replaced it."""
    for decision in report.review:
        if decision.action == "edit" and "diagnosis" in decision.changes:
            return str(decision.changes["diagnosis"]["from"])
        if decision.action == "edit" and decision.diagnosis and not decision.changes and report.differential:
            return report.differential[0].label  # of a version that did not write down what was changed
    return report.diagnosis


def retrieval_sentence(report: CaseReport) -> str:
    """Whether the similar cases changed the answer; not to be told apart from a reviewer's own words."""
    if any({"description", "findings"} & set(d.changes) for d in report.review if d.action == "revise"):
        return "The blind diagnosis was made before the reviewer corrected the description."
    if report.changed_by_retrieval:
        return "The similar cases changed the answer."
    return "The similar cases did not change it."


def marked(report: CaseReport, label: str) -> str:
    """A label of the agent, marked where its words do not exist."""
    return label if is_known(report, label) else f"{label} ({NOT_A_TERM})"


def is_known(report: CaseReport, label: str) -> bool:
    """Whether the words of the agent's label exist."""
    named = [
        candidate for candidate in report.differential if same_label(candidate.label) == same_label(label)
    ]
    return all(candidate.known_term for candidate in named)


def _blind(report: CaseReport) -> str:
    return report.blind_diagnosis if report.blind_known_term else f"{report.blind_diagnosis} ({NOT_A_TERM})"
