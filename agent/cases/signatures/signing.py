"""Signatures of finished cases, and addenda to signed ones. Nothing signed is overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videopath.agent.cases.bundle import REPORT_NAME
from videopath.agent.cases.records import Addendum, Annotation, CaseReport, Decision, Finding, reason_of
from videopath.agent.graph.revision import refuse_without_diagnosis
from videopath.core.choices import ReviewAction
from videopath.core.errors import CaseError
from videopath.core.files import write_text
from videopath.tools.describe import split_sentences

_SIGNABLE = ("done", "abstained")
UNSIGNED_NAME = "unsigned.json"
"""The report before it was signed or rejected, in the case folder."""


@dataclass(frozen=True)
class Signature:
    """A signature as a person typed it."""

    reviewer: str
    comment: str = ""
    diagnosis: str | None = None
    description: str | None = None
    findings: Sequence[str] | None = None
    confirmed: bool = False
    annotations: Sequence[Annotation] = ()

    def refuse_unnamed(self) -> None:
        """Raise ``CaseError`` if the name is empty."""
        if not self.reviewer.strip():
            raise CaseError("A signature needs a name: give the reviewer.")

    def refuse_unsignable(self, case_id: str, by: str | None, when: str | None, status: str) -> None:
        """Raise ``CaseError`` for a case that is signed or not finished; the message repeats what was typed."""
        if status == "signed":
            lost = words_not_kept(self.diagnosis, self.description, self.findings, self.comment)
            raise CaseError(
                f"Case {case_id} was signed by {by} on {when}; it stays as signed.{lost} "
                f"Add an addendum instead: `videopath cases addendum {case_id}`."
            )
        if status not in _SIGNABLE:
            raise CaseError(f"Case {case_id} is {status}: only a finished case can be signed.")


def words_not_kept(
    diagnosis: str | None, description: str | None, findings: Sequence[str] | None, comment: str = ""
) -> str:
    """Return a sentence with what a person typed in vain, after each field's name; it ends an error message."""
    typed = {
        "diagnosis": diagnosis or "",
        "description": description or "",
        "findings": " / ".join(findings or ()),
        "comment": comment,
    }
    words = "; ".join(f"{name}: {word.strip()}" for name, word in typed.items() if word.strip())
    return f" Your words were not kept: {words}." if words else ""


def decision_not_kept(decision: Decision | None) -> str:
    """Return :func:`words_not_kept` for a decision that cannot be taken now; empty if there is no decision."""
    if decision is None:
        return ""
    return words_not_kept(decision.diagnosis, decision.description, decision.findings, decision.comment)


def apply_signature(signature: Signature, report: CaseReport, moment: str) -> None:
    """Sign the report: the person's words replace the agent's.

    Args:
        signature: What the person typed.
        report: The report; it is changed.
        moment: When it is signed, ISO 8601.

    Raises:
        CaseError: What would be signed is not a diagnosis, or a text is not valid.
    """
    decision = _decision(signature, report, moment)
    refuse_without_diagnosis(
        signature.diagnosis,
        report.diagnosis,
        abstained=report.status == "abstained",
        unknown_label=report.provenance.get("unknown_label"),
    )
    report.review.append(decision)
    report.diagnosis = decision.diagnosis or report.diagnosis
    report.description = report.description if decision.description is None else decision.description
    if decision.findings is not None:
        known = {finding.text: finding for finding in report.findings}
        report.findings = [known.get(text) or _finding_of(text, report) for text in decision.findings]
    report.status = "signed"


def addendum_of(report: CaseReport, reviewer: str, text: str, diagnosis: str | None, moment: str) -> Addendum:
    """Return an addendum to a report.

    Raises:
        CaseError: The report is not signed, the name or the text is empty, or the diagnosis is none.
    """
    if report.status != "signed":
        raise CaseError(
            f"Case {report.case_id} is {report.status}: only a signed case takes an addendum. Correct this case and sign it."
        )
    if not reviewer.strip():
        raise CaseError("An addendum needs a name: give the reviewer.")
    if not text.strip():
        raise CaseError("An addendum needs a text: write what you add, or why the diagnosis changes.")
    other = (diagnosis or "").strip() or None
    if other:
        refuse_without_diagnosis(
            other, "", abstained=False, unknown_label=report.provenance.get("unknown_label")
        )
    try:
        return Addendum(text=text.strip(), reviewer=reviewer.strip(), added=moment, diagnosis=other)
    except ValidationError as error:
        raise CaseError(f"The addendum is not usable: {reason_of(error)}.") from error


def refuse_to_overwrite(path: Path, report: CaseReport) -> None:
    """Raise ``CaseError`` if saving the report would change what is signed.

    A step that runs again after a kill saves the same report, which is allowed.
    """
    try:
        saved = CaseReport.from_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, ValidationError):
        return
    if saved.status != "signed" or _is_withdrawal(saved, report):
        return
    same = _signed_words(saved) == _signed_words(report)
    kept = (
        report.addenda[: len(saved.addenda)] == saved.addenda
        and report.second_readings[: len(saved.second_readings)] == saved.second_readings
    )
    if not same or not kept:
        raise CaseError(f"Case {report.case_id} is signed and stays as signed: start a new case.")


def keep_unsigned(folder: Path, report: CaseReport) -> None:
    """Before a report is signed or rejected, keep the one that it replaces, for a withdrawal within a minute."""
    if report.status not in ("signed", "rejected"):
        return
    try:
        saved = CaseReport.from_json((folder / REPORT_NAME).read_bytes())
    except (FileNotFoundError, IsADirectoryError, ValidationError):
        return
    if saved.status not in ("signed", "rejected"):
        write_text(folder / UNSIGNED_NAME, saved.to_json(), private=True)


def _is_withdrawal(saved: CaseReport, report: CaseReport) -> bool:
    """Return whether the only change of what was decided is that the signature is recorded as withdrawn."""
    if not (saved.review and len(saved.review) == len(report.review) and report.review[-1].withdrawn):
        return False
    standing = report.review[-1].model_copy(update={"withdrawn": ""})
    unread = not saved.addenda and not saved.second_readings
    return [*report.review[:-1], standing] == saved.review and unread


def _signed_words(report: CaseReport) -> tuple[object, ...]:
    findings = [finding.text for finding in report.findings]
    return report.status, report.diagnosis, report.description, findings, report.review


def _decision(signature: Signature, report: CaseReport, moment: str) -> Decision:
    """Return the decision that signs a report, with its changes."""
    before: dict[str, Any] = {
        "diagnosis": report.diagnosis,
        "description": report.description,
        "findings": [finding.text for finding in report.findings],
    }
    changes = {
        name: {"from": before[name], "to": word}
        for name, word in _words(signature).items()
        if word is not None and word != before[name]
    }
    new: dict[str, Any] = {name: change["to"] for name, change in changes.items()}
    action: ReviewAction = "edit" if changes else "accept"
    if signature.annotations:
        changes["annotations"] = {"from": [], "to": [mark.sentence for mark in signature.annotations]}
    try:
        return Decision(
            action=action,
            annotations=list(signature.annotations),
            reviewer=signature.reviewer.strip(),
            comment=signature.comment.strip(),
            confirmed=signature.confirmed,
            decided=moment,
            changes=changes,
            **new,
        )
    except ValidationError as error:
        raise CaseError(f"The signature is not usable: {reason_of(error)}.") from error


def _words(signature: Signature) -> dict[str, Any]:
    """Return the person's words by field; None keeps the agent's.

    As in a review, findings without a description become the description, and the other way round: the agent's words
    never stay beside a person's.
    """
    description = (signature.description or "").strip() or None
    findings = None if signature.findings is None else _lines(signature.findings)
    if description is None and findings:
        description = " ".join(findings)
    elif description is not None and findings is None:
        findings = split_sentences(description)
    return {
        "diagnosis": (signature.diagnosis or "").strip() or None,
        "description": description,
        "findings": findings,
    }


def _lines(findings: Sequence[str]) -> list[str]:
    lines = [" ".join(finding.split()) for finding in findings]
    return [line for line in lines if line]


def _finding_of(text: str, report: CaseReport) -> Finding:
    """Return a person's finding, placed at the middle frame."""
    frames = report.video
    middle = len(frames.indices) // 2 if frames else 0
    return Finding(
        text=text,
        seconds=frames.seconds[middle] if frames and frames.seconds else 0.0,
        frame=frames.indices[middle] if frames and frames.indices else 0,
        by="reviewer",
    )
