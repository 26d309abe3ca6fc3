"""Processes that sign one case at once, and processes that are killed while they sign."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent.cases.library import load_case_library
from videopath.core.errors import CaseError

PROGRAM = Path(__file__).with_name("signing_race.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")


def race(mode: str, case_ids: list[str]) -> list[list[str]]:
    command = [sys.executable, str(PROGRAM), mode, *case_ids]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("database", "count"), [("sqlite", 20), ("postgres", 6)])
def test_of_two_processes_that_sign_at_once_one_wins_and_the_other_keeps_its_words(
    own_home: Path, cases: SimpleNamespace, request: pytest.FixtureRequest, database: str, count: int
) -> None:
    if database == "postgres":
        request.getfixturevalue("postgres")
    library, case_ids = load_case_library(), [f"case-{number}" for number in range(count)]
    for case_id in case_ids:
        library.save(cases.report(case_id))
    for case_id, answers in zip(case_ids, race("pairs", case_ids), strict=True):
        (signature,) = library.get(case_id).review
        winner, loser = ("Dr. A", "Dr. B") if answers[0] == "signed" else ("Dr. B", "Dr. A")
        (lost,) = [answer for answer in answers if answer != "signed"]
        assert signature.reviewer == library.entry(case_id).signed_by == winner
        assert library.get(case_id).description == f"Words of {winner}."
        assert f"was signed by {winner}" in lost
        assert f"description: Words of {loser}.; comment: comment of {loser}" in lost


def test_report_and_row_agree_after_any_kill_and_one_signature_stands(
    own_home: Path, cases: SimpleNamespace
) -> None:
    library, case_ids = load_case_library(), [f"case-{number}" for number in range(25)]
    for case_id in ("timed", *case_ids):
        library.save(cases.report(case_id))
    race("kills", ["timed", *case_ids])
    signed = 0
    for case_id in case_ids:
        report, entry = library.get(case_id), library.entry(case_id)
        assert (report.status, report.diagnosis) == (entry.status, entry.diagnosis)
        assert not entry.at_work
        if report.status == "signed":
            signed += 1
            with pytest.raises(CaseError, match=r"signed by Dr\. A"):
                library.sign(case_id, "Dr. B")
        else:
            assert library.sign(case_id, "Dr. B").review[-1].reviewer == "Dr. B"
        assert len(library.get(case_id).review) == 1
        assert library.entry(case_id).status == "signed"
    assert 0 < signed < len(case_ids), "the kills came before and after the signature"
