"""One person signs a case, once, with a diagnosis; report and row agree after a kill."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent.cases.library import SAVING_NAME, CaseLibrary, load_case_library
from videopath.agent.cases.records import VideoFacts
from videopath.agent.graph.revision import checked_decision
from videopath.agent.graph.view import LookView
from videopath.core.errors import CaseError
from videopath.tools.journal import Journal


@pytest.fixture
def library(own_home: Path) -> CaseLibrary:
    return load_case_library()


def test_of_two_signers_at_once_one_wins_and_the_other_keeps_their_words(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    for number in range(15):
        case_id = f"case-{number}"
        library.save(cases.report(case_id))

        def sign(name: str, case_id: str = case_id) -> str:
            try:
                return library.sign(case_id, name, f"words of {name}").review[-1].reviewer
            except CaseError as error:
                return str(error)

        with ThreadPoolExecutor(2) as people:
            answers = list(people.map(sign, ["Dr. A", "Dr. B"]))
        winner = library.get(case_id).review
        assert len(winner) == 1
        assert winner[0].reviewer in answers
        (lost,) = [answer for answer in answers if answer != winner[0].reviewer]
        loser = "Dr. B" if winner[0].reviewer == "Dr. A" else "Dr. A"
        assert f"was signed by {winner[0].reviewer}" in lost
        assert f"words of {loser}" in lost


def test_a_kill_between_report_and_row_leaves_a_signed_case(
    library: CaseLibrary, cases: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.save(cases.report("case-1"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("videopath.agent.cases.library.replace_case", killed)
        with pytest.raises(KeyboardInterrupt):
            library.sign("case-1", "Dr. A")
    assert (library.folder("case-1") / SAVING_NAME).exists()
    entry = library.entry("case-1")
    assert (entry.status, entry.signed_by, library.get("case-1").status) == ("signed", "Dr. A", "signed")
    assert [entry.status for entry in library.list(status="signed")] == ["signed"]
    assert library.list(status="done") == []
    with pytest.raises(CaseError, match=r"signed by Dr\. A"):
        library.sign("case-1", "Dr. B")


@pytest.mark.parametrize("label", ["", "no diagnosis", "Not a tissue that this model knows"])
def test_what_is_not_a_diagnosis_is_not_signed(
    library: CaseLibrary, cases: SimpleNamespace, label: str
) -> None:
    report = cases.report("unknown", diagnosis=label)
    report.provenance["unknown_label"] = "not a tissue that this model knows"
    library.save(report)
    with pytest.raises(CaseError, match="give the diagnosis that you sign"):
        library.sign("unknown", "Dr. A")
    assert library.entry("unknown").status == "done"
    assert library.sign("unknown", "Dr. A", diagnosis="colon adenocarcinoma").status == "signed"


def test_a_finished_case_is_corrected_in_full(library: CaseLibrary, cases: SimpleNamespace) -> None:
    library.save(cases.report("case-1"))
    before = library.get("case-1")
    signed = library.sign(
        "case-1", "Dr. A", diagnosis="tubular adenoma", description="Crowded tubules.", findings=["Tubules."]
    )
    assert library.get("case-1") == signed
    assert (signed.diagnosis, signed.description) == ("tubular adenoma", "Crowded tubules.")
    assert [(finding.text, finding.by) for finding in signed.findings] == [("Tubules.", "reviewer")]
    changes = signed.review[-1].changes
    assert changes["diagnosis"] == {"from": before.diagnosis, "to": "tubular adenoma"}
    assert changes["description"] == {"from": before.description, "to": "Crowded tubules."}
    assert set(changes) == {"diagnosis", "description", "findings"}


def test_nothing_signed_is_overwritten(library: CaseLibrary, cases: SimpleNamespace) -> None:
    library.save(cases.report("case-1"))
    signed = library.sign("case-1", "Dr. A", diagnosis="tubular adenoma")
    for change in (cases.report("case-1"), signed.model_copy(update={"diagnosis": "benign colon tissue"})):
        with pytest.raises(CaseError, match="stays as signed"):
            library.save(change)
    with pytest.raises(CaseError, match="stays as signed"):
        library.set_status("case-1", "running")
    assert library.get("case-1") == signed
    assert library.entry("case-1").status == "signed"
    library.save(signed)  # as a step does that runs again after a kill


def test_a_row_of_another_version_does_not_hide_the_others(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    library.save(cases.report("old"))
    library.save(cases.report("new"))
    with closing(sqlite3.connect(library.database)) as database, database:
        database.execute("UPDATE cases SET status = 'countersigned' WHERE case_id = 'new'")
    listed = {entry.case_id: entry for entry in library.list()}
    assert listed["old"].status == "done"
    assert "does not understand" in (listed["new"].comment or "")
    with pytest.raises(CaseError, match="does not understand"):
        library.entry("new")


def test_a_damaged_line_of_the_journal_costs_its_own_call_alone(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    for number in range(3):
        Journal(path).add({"call": number}, number)
    lines = path.read_bytes().split(b"\n")
    before = b"\n".join([lines[0], lines[1][:-9] + b"\xff#", lines[2], b'{"key": "torn'])
    path.write_bytes(before)
    journal = Journal(path)
    assert [journal.find({"call": number}) for number in range(3)] == [0, None, 2]
    assert path.read_bytes() == before  # reading writes nothing
    journal.add({"call": 1}, 1)
    assert [Journal(path).find({"call": number}) for number in range(3)] == [0, 1, 2]


UNKNOWN = "not a tissue that this model knows"


def _look(label: str, reasons: list[str]) -> dict[str, object]:
    frames = {"indices": [0], "seconds": [0.0], "sha256": "0" * 64}
    return {
        "request": {"video": "a.mp4", "start": None, "end": None},
        "final": {"label": label},
        "described": {
            "description": "Glands.",
            "findings": [],
            "frames": frames,
            "mean_logprob": -1.0,
            "call": {"prompt": "?", "prompt_sha256": "0" * 64, "seconds": 0.1, "device": "cpu", "model": "m"},
        },
        "retrieved": {"query": "Glands.", "neighbours": []},
        "reasons": reasons,
    }


@pytest.mark.parametrize(
    ("label", "abstained", "typed", "signs"),
    [
        ("colon adenocarcinoma", False, None, True),
        ("colon adenocarcinoma", True, None, False),
        ("colon adenocarcinoma", True, "colon adenocarcinoma", True),
        ("colon adenocarcinoma", True, "tubular adenoma", True),
        (UNKNOWN, False, None, False),
        (UNKNOWN, True, UNKNOWN, False),
        ("the tissue could not be identified", False, None, False),
        ("no diagnosis", False, "tubular adenoma", True),
        ("", True, None, False),
    ],
)
def test_what_sign_refuses_the_review_refuses(
    library: CaseLibrary, cases: SimpleNamespace, label: str, abstained: bool, typed: str | None, signs: bool
) -> None:
    report = cases.report(diagnosis=label, abstained=abstained, status="abstained" if abstained else "done")
    report.provenance["unknown_label"] = UNKNOWN
    library.save(report)
    decision = {"action": "edit", "diagnosis": typed} if typed else {"action": "accept"}
    ways = (
        lambda: library.sign("case-1", "Dr. A", diagnosis=typed),
        lambda: decide(decision, label, abstained, report.video),
        lambda: decide(
            {**decision, "action": "edit", "description": "Glands."}, label, abstained, report.video
        ),
    )
    for way in ways:
        if signs:
            way()
        else:
            with pytest.raises(CaseError, match="give the diagnosis that you sign"):
                way()


def decide(decision: dict[str, object], label: str, abstained: bool, facts: VideoFacts) -> None:
    look = LookView(_look(label, ["Not sure."] if abstained else []))
    checked_decision(decision, look, facts, UNKNOWN)
