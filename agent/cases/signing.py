"""The signature under a finished case, and what is added to a signed one. Nothing signed is overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videopath.agent.cases.records import Addendum, CaseReport, Decision, Finding, reason_of
from videopath.agent.graph.revision import refuse_without_diagnosis
from videopath.core.errors import CaseError
from videopath.tools.describe import split_sentences

_SIGNABLE = ("done", "abstained")


@dataclass(frozen=True)
class Signature:
    """What a person signs with, as it was typed."""

    reviewer: str
    comment: str = ""
    diagnosis: str | None = None
    description: str | None = None
    findings: Sequence[str] | None = None
    confirmed: bool = False

    def refuse_unnamed(self) -> None:
        """Raise ``CaseError`` without a name."""
        if not self.reviewer.strip():
            raise CaseError("A signature needs a name: give the reviewer.")

    def refuse_where_signed(self, case_id: str, by: str | None, when: str | None, status: str) -> None:
        """Raise ``CaseError`` for a case that cannot be signed, or not any more: it repeats what was typed."""
        if status == "signed":
            lost = words_not_kept(self.diagnosis, self.description, self.findings, self.comment)
            raise CaseError(
                f"Case {case_id} was signed by {by} on {when}; it stays as signed.{lost} "
                f"What you have to add goes into an addendum: `videopath cases addendum {case_id}`."
            )
        if status not in _SIGNABLE:
            raise CaseError(f"Case {case_id} is {status}: only a finished case can be signed.")


def words_not_kept(
    diagnosis: str | None, description: str | None, findings: Sequence[str] | None, comment: str = ""
) -> str:
    """Each word that a person typed in vain, after its field's name, to end a sentence's message with."""
    typed = {
        "diagnosis": diagnosis or "",
        "description": description or "",
        "findings": " / ".join(findings or ()),
        "comment": comment,
    }
    words = "; ".join(f"{name}: {word.strip()}" for name, word in typed.items() if word.strip())
    return f" Your words were not kept: {words}." if words else ""


def decision_not_kept(decision: Decision | None) -> str:
    """``words_not_kept`` of a decision that cannot be taken now; empty without one."""
    if decision is None:
        return ""
    return words_not_kept(decision.diagnosis, decision.description, decision.findings, decision.comment)


def apply_signature(signature: Signature, report: CaseReport, moment: str) -> None:
    """Sign the report: the person's words stand in it in place of the agent's."""
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
    """An addendum to a report. Raises ``CaseError`` for one that cannot be added."""
    if report.status != "signed":
        raise CaseError(
            f"Case {report.case_id} is {report.status}: an addendum goes to a signed case; correct this one and sign it."
        )
    if not reviewer.strip():
        raise CaseError("An addendum needs a name: give the reviewer.")
    if not text.strip():
        raise CaseError("An addendum needs a text: say what you add, or why the diagnosis is another.")
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
    """Raise ``CaseError`` if what is signed there would change. A step that runs again after a kill writes the same."""
    try:
        kept = CaseReport.from_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, ValidationError):
        return
    if kept.status != "signed":
        return
    same = _signed_words(kept) == _signed_words(report)
    if not same or report.addenda[: len(kept.addenda)] != kept.addenda:
        raise CaseError(f"Case {report.case_id} is signed and stays as signed: begin a new case.")


def _signed_words(report: CaseReport) -> tuple[object, ...]:
    findings = [finding.text for finding in report.findings]
    return report.status, report.diagnosis, report.description, findings, report.review


def _decision(signature: Signature, report: CaseReport, moment: str) -> Decision:
    """The decision that signs a report, with what it changes."""
    said: dict[str, Any] = {
        "diagnosis": report.diagnosis,
        "description": report.description,
        "findings": [finding.text for finding in report.findings],
    }
    changes = {
        name: {"from": said[name], "to": word}
        for name, word in _words(signature).items()
        if word is not None and word != said[name]
    }
    new: dict[str, Any] = {name: change["to"] for name, change in changes.items()}
    try:
        return Decision(
            action="edit" if changes else "accept",
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
    """The person's words by field; none: as it was.

    As in a review, findings alone are the description and a description alone is its findings: the agent's words do
    not stay beside a person's other ones.
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
    """A person's finding, at the middle of the frames that were seen."""
    frames = report.video
    middle = len(frames.indices) // 2 if frames else 0
    return Finding(
        text=text,
        seconds=frames.seconds[middle] if frames and frames.seconds else 0.0,
        frame=frames.indices[middle] if frames and frames.indices else 0,
        by="reviewer",
    )
