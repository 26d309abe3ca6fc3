"""What the case page knows of a case when it is drawn: its row, its report or trace, and the worker's job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videopath.agent import CaseReport, Step
from videopath.agent.cases.library import CaseEntry
from videopath.agent.cases.records import Candidate, Finding, SimilarCase
from videopath.agent.cases.trace import TRACE_NAME, read_trace
from videopath.agent.report.phrases import blind_in_words
from videopath.agent.report.statements import agent_diagnosis_in_words
from videopath.app.web.runtime.jobs import ENDED, JobState
from videopath.app.web.runtime.services import Services
from videopath.core.errors import CaseError
from videopath.tools.schemas import CasesVote

TITLES = {
    "intake": "Intake",
    "describe": "Description",
    "diagnose_blind": "Blind diagnosis",
    "retrieve": "Similar cases",
    "diagnose": "Diagnosis",
    "verify": "Verification",
    "look_closer": "Closer look",
    "review": "Review",
    "report": "Report",
}
"""The steps of the graph in a person's words."""

_REPORTED = ("waiting for review", "abstained", "done", "signed", "rejected")


@dataclass(frozen=True)
class Evidence:
    """What there is to check, as far as the case has come."""

    findings: list[Finding] = field(default_factory=list)
    differential: list[Candidate] = field(default_factory=list)
    similar: list[SimilarCase] = field(default_factory=list)
    blind: str = ""
    vote: CasesVote | None = None
    final: str = ""  # the agent's own label; a person's stands in the report


@dataclass(frozen=True)
class CaseView:
    """One case at the moment of drawing."""

    entry: CaseEntry
    folder: Path
    steps: list[Step]
    report: CaseReport | None  # none while the case is at work, and when it was never finished
    job: JobState | None
    evidence: Evidence
    problem: str = ""  # why the report or the trace cannot be read

    @property
    def case_id(self) -> str:
        """The id in the address."""
        return self.entry.case_id

    @property
    def active(self) -> bool:
        """Whether the worker has it in hand or in its queue."""
        return self.job is not None and self.job.phase not in ENDED

    @property
    def state(self) -> str:
        """A phase of the worker, "stopped", or the library's state: "running" where another process is at it."""
        if self.job is not None and self.active:
            return self.job.phase
        if self.entry.state != "interrupted":
            return self.entry.state
        if self.job is not None and self.job.phase in ("failed", "stopped"):
            return self.job.phase
        return "interrupted"

    @property
    def late_problem(self) -> str:
        """Why the agent did not take a decision that it was sent: the case waits as it did."""
        failed = self.job is not None and self.job.phase == "failed"
        return (
            (self.job.error or "")
            if self.job and failed and self.entry.status == "waiting for review"
            else ""
        )

    @property
    def error(self) -> str:
        """Why the case failed, in one sentence."""
        told = self.job.error if self.job is not None and self.job.phase == "failed" else None
        return told or self.entry.comment or ""


def load_view(shared: Services, case_id: str) -> CaseView:
    """A case as it stands now. Raises ``CaseError`` when there is none of this id."""
    job = shared.worker.state(
        case_id
    )  # before the row: one that ends in between is then drawn as ended next time
    entry = shared.library.entry(case_id)
    folder = shared.library.folder(case_id)
    active = job is not None and job.phase not in ENDED
    report, steps, problem = None, [], ""
    try:
        if entry.status in _REPORTED and not active:
            report = shared.library.get(case_id)
        steps = report.steps if report else read_trace(folder / TRACE_NAME)
    except CaseError as error:
        problem = str(error)
    return CaseView(entry, folder, steps, report, job, _evidence(report, steps), problem)


def title_of(step: str) -> str:
    """A step's name in words; of one that this page does not know, its own."""
    return TITLES.get(step, step.replace("_", " "))


def result_of(steps: list[Step], name: str) -> dict[str, Any]:
    """What the latest step of this name found; empty when there is none."""
    found: list[dict[str, Any]] = [step.detail.get("result") or {} for step in steps if step.name == name]
    return found[-1] if found else {}


def _evidence(report: CaseReport | None, steps: list[Step]) -> Evidence:
    if report is not None:
        return Evidence(
            findings=report.findings,
            differential=report.differential,
            similar=report.similar_cases,
            vote=report.vote,
            blind=blind_in_words(report),
            final=agent_diagnosis_in_words(report),
        )
    blind = result_of(steps, "diagnose_blind")
    final = result_of(steps, "verify") or result_of(
        steps, "diagnose"
    )  # fused with the cases' vote, once it is
    return Evidence(
        findings=[
            Finding(text=found["text"], seconds=found["seconds"], frame=found["frame"])
            for found in result_of(steps, "describe").get("findings", [])
        ],
        differential=[Candidate(**found) for found in (final or blind).get("differential", [])],
        similar=[
            SimilarCase(**{name: found[name] for name in SimilarCase.model_fields if name in found})
            for found in result_of(steps, "retrieve").get("neighbours", [])
        ],
        vote=CasesVote(**found) if (found := result_of(steps, "retrieve").get("vote")) else None,
        blind=blind.get("label", ""),
        final=final.get("label", ""),
    )
