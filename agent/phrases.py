"""What every report says of a diagnosis beside its label, in one place for all writers."""

from __future__ import annotations

from videopath.agent.records import CaseReport

NOT_CALIBRATED = "not calibrated"


def outcome_title(report: CaseReport) -> str:
    """What the label at the head of a report is."""
    return "Most likely, not signed out" if report.abstained and report.status != "signed" else "Diagnosis"


def diagnosis_in_words(report: CaseReport) -> str:
    """The label at the head of a report with what limits it; a person's stands as it is."""
    limits = limits_of(report)
    return report.diagnosis + (f" ({'; '.join(limits)})" if limits and report.diagnosis else "")


def limits_of(report: CaseReport) -> list[str]:
    """What limits the label at the head of a report, in a few words each; none of a person's."""
    if report.status == "signed":
        return []
    return [NOT_CALIBRATED] if report.provenance.get("calibrated") is False else []


def abstention_in_words(report: CaseReport) -> str:
    """Why the agent abstained; empty where it did not."""
    if not report.abstained:
        return ""
    if report.provenance.get("calibrated") is False:
        return "The agent abstained: nobody fitted the confidence of its model."
    return "The agent abstained: its confidence is below the policy's threshold."
