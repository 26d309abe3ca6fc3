"""The work on one row: its case is begun, or continued where an earlier process stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.agent.many.results import Outcome, RowStatus
from videopath.core.choices import ExportFormat
from videopath.core.errors import CaseError, InputError, VideoPathError
from videopath.core.remote import Place, RemoteError, RemotePath
from videopath.core.remote.store import remote_entries, upload

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.cases.records import CaseReport

BUNDLES, REPORTS = "bundles", "reports"


@dataclass(frozen=True)
class Exports:
    """What is written for each case beside the results."""

    out: Place
    forms: tuple[ExportFormat, ...] = ()
    _listed: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)
    """The names that a store had in a folder when it was asked first."""

    def file(self, case_id: str, form: ExportFormat) -> Place:
        """Return the file of a case."""
        return self._folder(form) / f"{case_id}.{form}"

    def missing(self, case_id: str) -> bool:
        """Return whether a file of the case is missing."""
        return not all(self._exists(self.file(case_id, form), form) for form in self.forms)

    def write(self, library: CaseLibrary, case_id: str) -> None:
        """Write the files of a case.

        Raises:
            CaseError: The case has no report that can be read.
            InputError: A store does not take them.
        """
        for form in self.forms:
            file = self.file(case_id, form)
            if isinstance(file, Path):
                library.export(case_id, file, form)
            else:
                self._upload(library, case_id, file, form)

    def _upload(self, library: CaseLibrary, case_id: str, file: RemotePath, form: ExportFormat) -> None:
        from videopath.agent.many.remote.scratch import batch_scratch

        with batch_scratch().folder(f"export-{case_id}") as folder:
            written = folder / "files"
            library.export(case_id, written / file.name, form)
            for one in sorted(written.iterdir()):  # beside a signed report lie its questions
                upload(one, file.parent / one.name)

    def _folder(self, form: ExportFormat) -> Place:
        return self.out / (BUNDLES if form == "zip" else REPORTS)

    def _exists(self, file: Place, form: ExportFormat) -> bool:
        if isinstance(file, Path):
            return file.exists()
        if form not in self._listed:
            self._listed[form] = frozenset(remote_entries(file.parent))
        return file.name in self._listed[form]


@dataclass(frozen=True)
class Task:
    """One case for a worker, as plain data."""

    identity: str
    case_id: str
    request: dict[str, Any]
    """The arguments of a ``CaseRequest``; the video may be the address of a file on a store."""
    hashes: dict[str, str]
    """The result's columns with hashes."""


def work_on(agent: DiagnosticAgent, task: Task, exports: Exports | None = None) -> Outcome:
    """Work on a case until it ends or waits for a person. Whatever goes wrong becomes the outcome.

    Args:
        agent: The agent.
        task: The case.
        exports: What is written of it.
    """
    from videopath.agent.many.remote.videos import local_copy

    try:
        with local_copy(agent.library, task) as local:
            report = _report(agent, local)
        outcome = outcome_of(report, task)
        if exports is not None:
            exports.write(agent.library, task.case_id)
        return outcome
    except RemoteError as error:
        return ended(task, "failed", str(error))
    except InputError as error:
        _forget_refused(agent.library, task.case_id)
        return ended(task, "refused", str(error))
    except VideoPathError as error:
        return ended(task, "failed", str(error))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one row must not stop the others; the reason is in its result
        return ended(task, "failed", f"{type(error).__name__}: {error}"[:1000])


def ended(task: Task, status: RowStatus, reason: str) -> Outcome:
    """Return the outcome of a case without a result."""
    case_id = "" if status == "refused" else task.case_id
    return Outcome(status=status, case_id=case_id, reason=reason, **task.hashes)


def _report(agent: DiagnosticAgent, task: Task) -> CaseReport:
    from videopath.agent.cases.library import INPUTS_NAME
    from videopath.agent.cases.request import CaseRequest
    from videopath.media.masks import Masks

    library, case_id = agent.library, task.case_id
    status = status_of(library, case_id)
    if status is not None and not (library.folder(case_id) / INPUTS_NAME).exists():
        library.delete(case_id)  # a kill came before it began
        status = None
    if status is None:
        masks = task.request.get("masks")
        changed = {"masks": Masks.model_validate(masks)} if masks else {}
        for _ in agent.stream_case(CaseRequest(**{**task.request, **changed})):
            pass
    elif status != "waiting for review":  # a finished one stays as it is
        return agent.resume(case_id)
    return agent.report(case_id)


def status_of(library: CaseLibrary, case_id: str) -> str | None:
    """Return the status of a case; None if there is no such case."""
    try:
        return library.entry(case_id).status
    except CaseError:  # also if the library cannot be read: entering the case then gives the reason
        return None


def _forget_refused(library: CaseLibrary, case_id: str) -> None:
    """Delete a case that was continued and then refused before the model answered: no such case is kept."""
    from videopath.tools.journal import JOURNAL_NAME

    if status_of(library, case_id) == "failed" and not (library.folder(case_id) / JOURNAL_NAME).exists():
        library.delete(case_id)


def outcome_of(report: CaseReport, task: Task) -> Outcome:
    """Return the outcome of a report.

    Raises:
        CaseError: The file was changed while the batch ran.
    """
    if report.video is not None and report.video.sha256 != task.hashes["video_sha256"]:
        raise CaseError("The file was changed while the batch ran: start the batch again.")
    by_person = report.has_persons_diagnosis
    calibrated = report.provenance.get("calibrated") is not False and not by_person
    differential = [
        {"diagnosis": one.label, "probability": round(one.probability, 6)} for one in report.differential
    ]
    return Outcome(
        status=_row_status(report),
        diagnosis=report.diagnosis,
        confidence=round(report.confidence, 6) if calibrated else None,
        vouched_by="reviewer" if by_person else _vouched_by(report),
        differential=json.dumps(differential, ensure_ascii=False),
        seconds=round(sum(step.seconds for step in report.steps), 3),
        device=str(report.provenance.get("device", "")),
        case_id=report.case_id,
        reason=_reason(report),
        **task.hashes,
    )


def _row_status(report: CaseReport) -> RowStatus:
    if report.status in ("waiting for review", "failed"):
        return report.status
    if report.status == "running":
        return "failed"
    return "abstained" if report.status in ("abstained", "rejected") else "done"


def _reason(report: CaseReport) -> str:
    if report.status == "rejected":
        return "A reviewer rejected it."
    return " ".join(report.advice) if report.abstained and not report.has_persons_diagnosis else ""


def _vouched_by(report: CaseReport) -> str:
    return "" if report.abstained else ", ".join(one.by for one in report.vouchers if not one.reasons)
