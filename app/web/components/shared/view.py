"""The state of a case when its page is drawn: library entry, report or trace, and the worker's job."""

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
from videopath.core.choices import WritingRule
from videopath.core.errors import CaseError
from videopath.media.crop import Crop
from videopath.media.masks import Masks
from videopath.tools.schemas import CasesVote, with_rule

TITLES = {
    "intake": "Intake",
    "describe": "Description",
    "diagnose_blind": "Blind diagnosis",
    "retrieve": "Similar cases",
    "diagnose": "Diagnosis",
    "second_opinion": "Second opinion",
    "verify": "Verification",
    "look_closer": "Closer look",
    "review": "Review",
    "report": "Report",
}
"""The names of the graph's steps on the pages."""

_REPORTED = ("waiting for review", "abstained", "done", "signed", "rejected")


@dataclass(frozen=True)
class CaseEvidence:
    """The results of a case so far, for a person to check."""

    findings: list[Finding] = field(default_factory=list)
    differential: list[Candidate] = field(default_factory=list)
    similar: list[SimilarCase] = field(default_factory=list)
    blind: str = ""
    vote: CasesVote | None = None
    final: str = ""  # the agent's own label; a person's diagnosis is in the report


@dataclass(frozen=True)
class CaseView:
    """One case when its page is drawn."""

    entry: CaseEntry
    folder: Path
    steps: list[Step]
    report: CaseReport | None  # None while the case runs, and if it never finished
    job: JobState | None
    evidence: CaseEvidence
    problem: str = ""  # why the report or the trace cannot be read

    @property
    def case_id(self) -> str:
        """The case's id."""
        return self.entry.case_id

    @property
    def request(self) -> dict[str, Any] | None:
        """The first clip of the case, as its intake chose it; None before it has finished."""
        found = next((step.detail.get("request") for step in self.steps if step.name == "intake"), None)
        return with_rule(found) if isinstance(found, dict) else None

    @property
    def writing(self) -> WritingRule:
        """Which burned-in writing is filled wherever frames of the case are shown."""
        return self.request["writing"] if self.request else "mask-all"

    @property
    def crop(self) -> Crop | None:
        """The part of each frame that the case looks at, as shares; None: the whole frame."""
        crop = self.request and self.request.get("crop")
        return tuple(crop) if crop else None

    @property
    def masks(self) -> Masks | None:
        """A person's changes to the places that are filled; None: none."""
        masks = self.request and self.request.get("masks")
        return Masks.model_validate(masks) if masks else None

    @property
    def active(self) -> bool:
        """Whether the case is in the worker's queue or running there."""
        return self.job is not None and self.job.phase not in ENDED

    @property
    def state(self) -> str:
        """A phase of the worker, "stopped", or the library's state ("running": in another process)."""
        if self.job is not None and self.active:
            return self.job.phase
        if self.entry.state != "interrupted":
            return self.entry.state
        if self.job is not None and self.job.phase in ("failed", "stopped"):
            return self.job.phase
        return "interrupted"

    @property
    def late_problem(self) -> str:
        """Why a decision failed after it was sent; the case still waits for a review."""
        failed = self.job is not None and self.job.phase == "failed"
        return (
            (self.job.error or "")
            if self.job and failed and self.entry.status == "waiting for review"
            else ""
        )

    @property
    def error(self) -> str:
        """Why the case failed, in one sentence."""
        error = self.job.error if self.job is not None and self.job.phase == "failed" else None
        return error or self.entry.comment or ""


def load_view(shared: Services, case_id: str) -> CaseView:
    """Load the current state of a case. Raises ``CaseError`` if the id is not known."""
    job = shared.worker.state(case_id)  # read before the entry, so that a job cannot end unnoticed in between
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
    """Return the name of a step on the pages; an unknown step keeps its own name."""
    return TITLES.get(step, step.replace("_", " "))


def result_of(steps: list[Step], name: str) -> dict[str, Any]:
    """Return the result of the latest step with this name; empty if there is none."""
    results: list[dict[str, Any]] = [step.detail.get("result") or {} for step in steps if step.name == name]
    return results[-1] if results else {}


def _evidence(report: CaseReport | None, steps: list[Step]) -> CaseEvidence:
    if report is not None:
        return CaseEvidence(
            findings=report.findings,
            differential=report.differential,
            similar=report.similar_cases,
            vote=report.vote,
            blind=blind_in_words(report),
            final=agent_diagnosis_in_words(report),
        )
    blind = result_of(steps, "diagnose_blind")
    final = result_of(steps, "verify") or result_of(steps, "diagnose")  # verify fuses model and cases
    return CaseEvidence(
        findings=[
            Finding(text=finding["text"], seconds=finding["seconds"], frame=finding["frame"])
            for finding in result_of(steps, "describe").get("findings", [])
        ],
        differential=[Candidate(**candidate) for candidate in (final or blind).get("differential", [])],
        similar=[
            SimilarCase(**{name: case[name] for name in SimilarCase.model_fields if name in case})
            for case in result_of(steps, "retrieve").get("neighbours", [])
        ],
        vote=CasesVote(**vote) if (vote := result_of(steps, "retrieve").get("vote")) else None,
        blind=blind.get("label", ""),
        final=final.get("label", ""),
    )
