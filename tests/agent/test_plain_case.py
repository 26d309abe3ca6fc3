"""A case with a model that is asked in plain words and has no optional ability."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.plain import DIAGNOSIS, FINDINGS, PlainEngine

from videopath.agent import DiagnosticAgent
from videopath.agent.cases.records import Decision, Finding
from videopath.agent.cases.trace import read_trace
from videopath.agent.report.phrases import basis_in_words
from videopath.core.choices import Scoring
from videopath.model.prompts.prompt_set import packaged_prompts

SCORES = {"Colon adenocarcinoma": -0.1, "Tubular adenoma": -3.0, "benign colon tissue": -4.0}


@pytest.mark.parametrize(
    ("scoring", "address", "most"),
    [
        ("lettered choice", "http://ward/v1", 8),
        ("sampled answers", "http://ward/v1", 8),
        ("token probabilities", "http://ward/v1", 8),
        ("lettered choice", "", 24),
    ],
)
def test_a_whole_case_in_plain_words(small_case: Path, scoring: Scoring, address: str, most: int) -> None:
    engine = PlainEngine(
        describe=["no JSON", FINDINGS],
        diagnose=["no JSON", DIAGNOSIS],
        scores=SCORES,
        scoring=scoring,
        address=address,
    )
    with DiagnosticAgent.load(engine) as agent:
        report = agent.diagnose(small_case, site="colon")
        steps = {step.name: step for step in read_trace(report.folder / "trace.jsonl")}
    assert report.description == "Crowded irregular glands. Dark nuclei."
    assert report.rationale == "Irregular glands."
    assert report.blind_diagnosis == "Colon adenocarcinoma"
    assert engine.requests <= most
    first, second = report.findings
    assert (first.moment, first.has_moment, first.was_seen) == ("named", True, False)
    assert (second.moment, second.has_moment, second.image) == ("none", False, None)
    assert steps["describe"].evidence == [f"frame {first.frame}"]
    assert "which named the moment" in report.to_markdown()
    result = steps["diagnose"].detail["result"]
    assert result["scoring"] == scoring
    for call in (result["call"], steps["describe"].detail["result"]["call"]):
        assert (call["wording"], call["template_sha256"]) == ("plain", packaged_prompts("plain").sha256)
    assert steps["describe"].detail["result"]["notes"]
    assert not steps["diagnose_blind"].detail["result"]["scores"].keys() - SCORES.keys()


def test_a_reviewers_finding_has_no_moment_if_nobody_can_find_one(small_case: Path) -> None:
    engine = PlainEngine(scores=SCORES)
    with DiagnosticAgent.load(engine, review="always") as agent:
        waiting = agent.diagnose(small_case, site="colon", case_id="revised")
        assert waiting.status == "waiting for review"
        findings = ["Crowded irregular glands.", "Necrosis is wide-spread."]
        agent.resume("revised", Decision(action="revise", reviewer="R", findings=findings))
        report = agent.resume(
            "revised", Decision(action="edit", reviewer="R", diagnosis="colon adenocarcinoma")
        )
    own, added = report.findings
    assert (own.by, own.moment, own.has_moment) == ("model", "named", True)
    assert (added.by, added.moment, added.has_moment) == ("reviewer", "none", False)


def test_findings_of_earlier_reports_keep_their_moments() -> None:
    seen = Finding.model_validate({"text": "Glands.", "seconds": 1.0, "frame": 3, "rests_on": "measured"})
    assert (seen.moment, seen.has_moment, basis_in_words(seen)) == ("scored", True, "measured on the frame")
    said = Finding.model_validate({"text": "Glands.", "seconds": 1.0, "frame": 3})
    assert (said.has_moment, basis_in_words(said)) == (False, "said by the model, not verified")
