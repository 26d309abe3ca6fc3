"""An abstention is signed with a person's own diagnosis alone, whichever way it is signed; the loser keeps their words."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from videopath.agent import DiagnosticAgent, Policy
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.app.cli.main import app
from videopath.core.errors import CaseError

_RULE = "give the diagnosis that you sign"
_FORK = multiprocessing.get_context("fork")


@pytest.fixture
def library(own_home: Path) -> CaseLibrary:
    return load_case_library()


def sign_at_once(home: Path, case_id: str, name: str, start: float, answers: object) -> None:
    """One of two people: waits for the moment, signs, and tells how it ended."""
    time.sleep(max(0.0, start - time.time()))
    try:
        signed = load_case_library(home).sign(
            case_id, name, f"comment of {name}", f"label of {name}", findings=[f"finding of {name}"]
        )
        answers.put((name, signed.review[-1].reviewer))  # type: ignore[attr-defined]
    except CaseError as error:
        answers.put((name, str(error)))  # type: ignore[attr-defined]


def test_of_two_processes_that_sign_at_once_exactly_one_wins(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    for number in range(8):
        case_id = f"case-{number}"
        library.save(cases.report(case_id))
        answers, start = _FORK.Queue(), time.time() + 0.1
        people = [
            _FORK.Process(target=sign_at_once, args=(library.home, case_id, name, start, answers))
            for name in ("Dr A", "Dr B")
        ]
        for person in people:
            person.start()
        told = dict(answers.get(timeout=60) for _ in people)
        for person in people:
            person.join()
        report, entry = library.get(case_id), library.entry(case_id)
        (winner,) = [decision.reviewer for decision in report.review]
        (loser,) = set(told) - {winner}
        assert told[winner] == winner
        assert (entry.status, entry.signed_by, entry.diagnosis) == ("signed", winner, report.diagnosis)
        for words in ("label", "finding", "comment"):
            assert f"{words} of {loser}" in told[loser]
        assert f"signed by {winner}" in told[loser]


def test_report_and_row_agree_after_a_kill_at_any_moment_of_a_signature(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    chance = random.Random(7)
    for number in range(12):
        case_id = f"case-{number}"
        library.save(cases.report(case_id))
        process = os.fork()
        if process == 0:
            try:
                library.sign(case_id, "Dr A", diagnosis="tubular adenoma")
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.0, 0.03))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        report, entry = library.get(case_id), library.entry(case_id)
        assert entry.status == report.status
        assert entry.diagnosis == report.diagnosis
        if report.status == "signed":
            with pytest.raises(CaseError, match="signed by Dr A"):
                library.sign(case_id, "Dr B")
        else:
            assert library.sign(case_id, "Dr B").review[-1].reviewer == "Dr B"


@pytest.fixture
def waiting(small_checkpoint: Path, small_case: Path, words_alone: Path, own_home: Path) -> DiagnosticAgent:
    """An agent whose case "waits" for a person, since it abstained with a diagnosis that it finds likely."""
    policy = Policy(max_looks=0, samples=0, description_tokens=4, answer_tokens=4, review="uncertain")
    agent = DiagnosticAgent.load(str(small_checkpoint), words_alone, policy=policy, device="cpu")
    report = agent.diagnose(small_case, site="colon", case_id="waits")
    assert (report.status, report.abstained) == ("waiting for review", True)
    return agent


def test_an_abstention_is_signed_with_a_diagnosis_that_the_person_writes(
    waiting: DiagnosticAgent, library: CaseLibrary, cases: SimpleNamespace
) -> None:
    library.save(cases.report("unsure", status="abstained", abstained=True))
    without: list[Callable[[], object]] = [
        lambda: waiting.resume("waits", {"action": "accept", "reviewer": "Dr A"}),
        lambda: waiting.check("waits", {"action": "accept", "reviewer": "Dr A"}),
        lambda: waiting.resume("waits", {"action": "edit", "reviewer": "Dr A", "description": "Glands."}),
        lambda: waiting.resume("waits", {"action": "edit", "reviewer": "Dr A", "diagnosis": "no diagnosis"}),
        lambda: library.sign("unsure", "Dr A"),
        lambda: library.sign("unsure", "Dr A", description="Glands."),
        lambda: library.sign("unsure", "Dr A", diagnosis="no diagnosis"),
    ]
    for way in without:
        with pytest.raises(CaseError, match=_RULE):
            way()
    for command in (["resume", "waits", "--action", "accept"], ["sign", "unsure"]):
        told = CliRunner().invoke(app, ["cases", *command, "--reviewer", "Dr A"])
        assert _RULE in str(told.exception) + told.output
    assert library.entry("waits").status == "waiting for review"
    written = {"action": "edit", "reviewer": "Dr A", "diagnosis": "tubular adenoma"}
    assert waiting.resume("waits", written).status == "signed"
    with pytest.raises(CaseError, match=r"does not wait.*diagnosis: tubular adenoma"):
        waiting.resume("waits", written)
    told = CliRunner().invoke(
        app,
        ["cases", "resume", "waits", "--action", "edit", "--diagnosis", "lymphoma", "--finding", "Cells."],
    )
    assert "diagnosis: lymphoma; findings: Cells." in str(told.exception) + told.output
