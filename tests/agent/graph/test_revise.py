"""A person corrects the agent, it goes on from there and asks again: nothing is overwritten, nothing is done twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videopath.agent import CaseReport, Decision, DiagnosticAgent, Policy
from videopath.agent.cases.learning import add_to_knowledge
from videopath.agent.cases.records import Segment
from videopath.agent.cases.trace import read_trace
from videopath.agent.replay import replay
from videopath.core.errors import CaseError
from videopath.knowledge import KnowledgeBase, Media

CHILD = Path(__file__).with_name("killed_case.py")
POLICY = Policy(max_looks=0, samples=2, description_tokens=24, answer_tokens=12)
ROUND = ["describe", "diagnose_blind", "retrieve", "diagnose", "verify"]
WORDS = ["Crowded, irregular glands with necrosis.", "Nuclei are dark and stratified."]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def agent(home: Path, small_checkpoint: Path, words_alone: Path) -> Iterator[DiagnosticAgent]:
    with DiagnosticAgent.load(
        small_checkpoint,
        words_alone,
        review="always",
        policy=POLICY,
        device="cpu",
        dtype="float32",
        home=home,
    ) as agent:
        yield agent


def waiting(agent: DiagnosticAgent, video: Path, case_id: str) -> CaseReport:
    return agent.diagnose(video, site="colon", case_id=case_id)


def revise(agent: DiagnosticAgent, case_id: str, **fields: Any) -> list[str]:
    """Names of the steps that followed."""
    decision = {"action": "revise", "reviewer": "Dr A", "interrupt_id": agent.pending(case_id).id, **fields}
    return [step.name for step in agent.stream_resume(case_id, decision)]


def test_corrected_findings_are_searched_for_and_diagnosed_anew(
    agent: DiagnosticAgent, small_case: Path
) -> None:
    before = waiting(agent, small_case, "words")
    first = agent.pending("words")
    assert revise(agent, "words", findings=[*WORDS, " "], comment="Look again.") == [
        "review",
        "retrieve",
        "diagnose",
        "verify",
    ]
    report = agent.report("words")
    assert (report.status, agent.library.entry("words").status) == ("waiting for review",) * 2
    assert report.description == " ".join(WORDS)
    assert [finding.text for finding in report.findings] == WORDS
    assert {finding.by for finding in report.findings} == {"reviewer"}
    assert {finding.by for finding in before.findings} <= {"model"}
    assert all(finding.frame in report.video.indices for finding in report.findings)
    assert report.similar_cases != before.similar_cases
    assert (report.blind_diagnosis, report.changed_by_retrieval) == (before.blind_diagnosis, False)
    retrieved, verified = report.steps[-3], report.steps[-1]
    assert retrieved.detail["description"] == " ".join(WORDS)
    assert set(verified.detail["moments_of_reviewers_findings"]) == set(WORDS)

    changes = next(step for step in report.steps if step.name == "review").detail["changes"]
    assert changes["findings"] == {"from": [f.text for f in before.findings], "to": WORDS}
    assert changes["description"] == {"from": before.description, "to": " ".join(WORDS)}
    assert report.review[0].changes == changes
    assert report.steps[: len(before.steps)] == before.steps, "what was is kept"

    second = agent.pending("words")
    assert second.id != first.id
    assert (second.value["revision"], second.value["findings"]) == (1, WORDS)
    with pytest.raises(CaseError, match="earlier review"):
        agent.resume("words", {"action": "accept", "interrupt_id": first.id})
    with pytest.raises(CaseError, match="abstained on this case"):
        agent.resume("words", {"action": "accept", "reviewer": "Dr A", "interrupt_id": second.id})
    signed = agent.resume("words", {**signature(report), "interrupt_id": second.id})
    assert (signed.status, signed.description) == ("signed", " ".join(WORDS))
    assert [decision.action for decision in signed.review] == ["revise", "edit"]
    assert [s.name for s in signed.steps] == [s.name for s in report.steps] + ["review", "report"]
    text = signed.to_markdown()
    assert "What was changed" in text
    assert "before the reviewer corrected" in text
    with pytest.raises(CaseError, match="does not wait"):
        agent.resume("words", {"action": "accept"})


def test_a_dropped_case_is_not_seen_again(agent: DiagnosticAgent, small_case: Path) -> None:
    waiting(agent, small_case, "drop")
    assert revise(agent, "drop", findings=WORDS) == ["review", "retrieve", "diagnose", "verify"]
    kept = [case.id for case in agent.report("drop").similar_cases if case.kept]
    assert len(kept) > 1
    assert revise(agent, "drop", drop=kept[:1]) == ["review", "diagnose", "verify"]
    report = agent.report("drop")
    dropped = next(case for case in report.similar_cases if case.id == kept[0])
    assert (dropped.kept, dropped.why) == (False, "dropped by Dr A")
    asked = [step for step in report.steps if step.name == "diagnose"][-1]
    assert [neighbour["id"] for neighbour in asked.detail["neighbours"]] == kept[1:]
    assert report.review[-1].changes == {"similar_cases": {"from": kept, "to": kept[1:]}}
    for candidate in report.differential:
        assert f"neighbour:{kept[0]}" not in candidate.support

    words = [*WORDS, "Mitoses are many."]
    revise(agent, "drop", findings=words)
    report = agent.report("drop")
    assert kept[0] not in [case.id for case in report.similar_cases if case.kept], "a drop lasts"
    with pytest.raises(CaseError, match="changes nothing"):
        revise(agent, "drop", findings=words)
    with pytest.raises(CaseError, match="similar cases"):
        revise(agent, "drop", drop=["no-such-case"])
    assert agent.library.entry("drop").status == "waiting for review"


def test_another_segment_is_described_anew(agent: DiagnosticAgent, small_case: Path) -> None:
    waiting(agent, small_case, "segment")
    assert revise(agent, "segment", segment={"start": 2.0, "end": 4.0}) == ["review", *ROUND]
    report = agent.report("segment")
    assert all(2.0 <= second <= 4.0 for second in report.video.seconds)
    assert report.review[0].changes["segment"] == {"from": [None, None], "to": [2.0, 4.0]}
    assert all((report.folder / finding.image).is_file() for finding in report.findings)
    for fields, said in (
        ({"segment": {"start": 9.0, "end": 10.0}}, "ends at 6"),
        ({"segment": {"start": 2.0, "end": 1.0}}, "after its start"),
        ({"segment": {"start": 0.0, "end": 1.0}, "findings": WORDS}, "describes another segment itself"),
        ({"diagnosis": "tubular adenoma"}, "diagnoses again"),
        ({}, "takes a description"),
    ):
        with pytest.raises(CaseError, match=said):
            revise(agent, "segment", **fields)
    assert agent.library.entry("segment").status == "waiting for review"
    edit = {"action": "edit", "reviewer": "Dr A", "findings": WORDS, "diagnosis": "tubular adenoma"}
    signed = agent.resume("segment", edit)
    assert (signed.status, signed.diagnosis) == ("signed", "tubular adenoma")
    assert [finding.text for finding in signed.findings] == WORDS
    assert signed.description == " ".join(WORDS)
    assert set(signed.review[-1].changes) == {"diagnosis", "description", "findings"}


def test_words_go_with_their_action() -> None:
    for fields in (
        {"action": "accept", "findings": []},
        {"action": "reject", "drop": ["a"]},
        {"action": "edit", "description": "x", "segment": Segment(start=0, end=1)},
        {"action": "edit", "diagnosis": "bad \ud800 text"},
    ):
        with pytest.raises(ValueError, match="takes no correction|go with|not valid"):
            Decision.model_validate(fields)


def signature(report: CaseReport) -> dict[str, str]:
    """The agent abstains with this model: a person writes the diagnosis, here the agent's own."""
    return {"action": "edit", "diagnosis": report.diagnosis, "reviewer": "Dr A"}


@pytest.fixture(scope="module")
def reference(agent: DiagnosticAgent, small_case: Path) -> CaseReport:
    waiting(agent, small_case, "reference")
    revise(agent, "reference", findings=WORDS)
    return agent.resume("reference", signature(agent.report("reference")))


def calls(agent: DiagnosticAgent, case_id: str) -> list[str]:
    lines = (agent.library.folder(case_id) / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["key"] for line in lines]


@pytest.mark.slow
def test_a_case_killed_in_its_revision_goes_on_where_it_was(
    agent: DiagnosticAgent,
    reference: CaseReport,
    home: Path,
    small_checkpoint: Path,
    words_alone: Path,
    small_case: Path,
) -> None:
    case_id, point, finished = (
        "killed",
        "call 2",
        ["review", "retrieve"],
    )  # during diagnose, after one of its calls
    decision = json.dumps({"action": "revise", "reviewer": "Dr A", "findings": WORDS})
    command = [
        sys.executable, str(CHILD), *map(str, (home, small_checkpoint, words_alone, small_case)), case_id, point, decision
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        reached = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        complaint = child.stderr.read()
    assert reached == "here\n", complaint
    folder = agent.library.folder(case_id)
    trace, journal = (folder / "trace.jsonl").read_bytes(), (folder / "calls.jsonl").read_bytes()
    assert [s.name for s in read_trace(folder / "trace.jsonl")] == ["intake", *ROUND, *finished]
    assert agent.library.entry(case_id).status == "running"
    with pytest.raises(CaseError, match="does not wait"):
        agent.resume(case_id, json.loads(decision))

    further = [step.name for step in agent.stream_resume(case_id)]

    assert further == ["review", "retrieve", "diagnose", "verify"][len(finished) :], "nothing is run again"
    assert (folder / "trace.jsonl").read_bytes().startswith(trace)
    assert (folder / "calls.jsonl").read_bytes().startswith(journal)
    assert sorted(calls(agent, case_id)) == sorted(calls(agent, "reference")), "each call once, none twice"
    report = agent.resume(case_id, signature(agent.report(case_id)))
    assert (report.status, report.diagnosis) == ("signed", reference.diagnosis)
    assert report.findings == reference.findings
    assert report.confidence == pytest.approx(reference.confidence, abs=1e-4)


def test_corrections_that_were_signed_become_a_record_with_their_provenance(
    reference: CaseReport, tmp_path: Path, small_case: Path
) -> None:
    name = add_to_knowledge(reference, tmp_path / "kb", confirmed=True)
    record = KnowledgeBase.open(tmp_path / "kb").get(name)
    assert (record.description, record.diagnosis) == (" ".join(WORDS), reference.diagnosis)
    assert record.media == (Media(path=str(small_case), writing="mask-all"),)
    said = record.provenance
    assert (said["case"], said["reviewer"], said["decision"]) == ("reference", "Dr A", "edit")
    assert said["corrected"] == "description by Dr A, findings by Dr A"
    assert said["description before"] == reference.review[0].changes["description"]["from"]
    assert said["weights"] == reference.provenance["weights"]
    assert said["decided"] == reference.review[-1].decided


def test_a_revised_case_is_replayed_with_its_decisions(
    reference: CaseReport, small_case: Path, words_alone: Path, tmp_path: Path
) -> None:
    bundle = reference.save_bundle(tmp_path / "case.zip")
    own = {"model": reference.settings.model, "knowledge": words_alone}  # folders, which no bundle may choose
    steps: list[str] = []
    again = replay(bundle, small_case, **own, on_step=lambda step: steps.append(step.name))
    assert (again.differences, again.problems, again.notes) == ([], [], [])
    assert steps == [step.name for step in reference.steps]
    assert again.report.review[0].reviewer == "Dr A"

    assert again.report.excluded == reference.excluded

    edited = reference.model_copy(deep=True)
    edited.description = "Another."
    edited.folder = None
    again = replay(edited.save_bundle(tmp_path / "edited.zip"), small_case, **own)
    assert [difference.field for difference in again.differences] == ["description"]
