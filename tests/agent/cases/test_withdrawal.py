"""A decision is withdrawn within a minute and stays on record; a finished case is rejected."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.records import CaseReport, Finding
from videopath.agent.cases.signatures import withdrawal
from videopath.agent.cases.signatures.withdrawal import (
    reject_finished,
    seconds_to_withdraw,
    withdraw_decision,
)
from videopath.agent.report.statements import agent_diagnosis, statements, writer_of
from videopath.core.clock import utc
from videopath.core.errors import CaseError


@pytest.fixture
def library(tmp_path: Path) -> CaseLibrary:
    """A library with a case that is done and one that is abstained."""
    library = load_case_library(tmp_path / "home")
    for status in ("done", "abstained"):
        library.start(status, "a.mp4", "colon", "nano")
        report = CaseReport(
            case_id=status, status=status, diagnosis="adenoma", description="Crowded glands.", model="nano",
            abstained=status == "abstained", created="2026-01-31T14:25:01.000Z",
            findings=[Finding(text="Crowded glands.", seconds=1.5, frame=12, rests_on="seen")],
        )  # fmt: skip
        library.save(report)
    return library


def test_a_withdrawn_signature_stays_on_record_and_the_case_is_as_before(library: CaseLibrary) -> None:
    before = library.get("done")
    library.sign("done", "Dr Ash", diagnosis="carcinoma", description="Invasion.", findings=["Invasion."])
    assert seconds_to_withdraw(library.get("done")) > 0
    withdraw_decision(library, "done", "Dr Ash")
    report, entry = library.get("done"), library.entry("done")
    assert (report.status, entry.status, entry.signed_by) == ("done", "done", None)
    assert (report.diagnosis, report.description, report.findings) == (
        before.diagnosis, before.description, before.findings,
    )  # fmt: skip
    assert report.review[0].reviewer == "Dr Ash"
    assert report.review[0].withdrawn
    assert not report.has_persons_diagnosis
    assert (agent_diagnosis(report), writer_of("findings", report)) == ("adenoma", None)
    assert "withdrawn" in str(statements(report)[-1])
    library.sign("done", "Dr Birch")
    assert [decision.reviewer for decision in library.get("done").review] == ["Dr Ash", "Dr Birch"]


def test_an_abstained_case_is_rejected_and_the_rejection_withdrawn(library: CaseLibrary) -> None:
    reject_finished(library, "abstained", "Dr Ash", "too dark")
    assert library.entry("abstained").status == "rejected"
    with pytest.raises(CaseError, match="only a finished case"):
        reject_finished(library, "abstained", "Dr Ash")
    withdraw_decision(library, "abstained", "Dr Ash")
    assert library.entry("abstained").status == "abstained"


def test_only_who_decided_can_withdraw_and_only_for_a_minute(
    library: CaseLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.sign("done", "Dr Ash")
    with pytest.raises(CaseError, match="only they"):
        withdraw_decision(library, "done", "Dr Birch")
    later = utc() + timedelta(seconds=61)
    monkeypatch.setattr(withdrawal, "utc", lambda: later)
    with pytest.raises(CaseError, match="no longer"):
        withdraw_decision(library, "done", "Dr Ash")
    assert library.entry("done").status == "signed"


def test_an_addendum_ends_the_time_to_withdraw(library: CaseLibrary) -> None:
    library.sign("done", "Dr Ash")
    library.add_addendum("done", "Dr Ash", "CDX2 is positive.")
    with pytest.raises(CaseError, match="no longer"):
        withdraw_decision(library, "done", "Dr Ash")


def test_a_rejection_needs_a_name(library: CaseLibrary) -> None:
    with pytest.raises(CaseError, match="needs a name"):
        reject_finished(library, "done", " ")
