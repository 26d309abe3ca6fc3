"""What the tests of reports, bundles and the library share: a finished case with odd texts in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videopath.agent.evaluation.fitting import Trial
from videopath.agent.records import CaseReport, Finding, RunSettings, SimilarCase, Step, VideoFacts
from videopath.agent.trace import append_step
from videopath.tools.schemas import (
    Candidate,
    CaseBallot,
    CasesVote,
    DiagnoseResult,
    ModelCall,
    RetrieveResult,
)


def step(name: str = "describe", seconds: float = 0.5, **more: object) -> Step:
    return Step(
        name=name, summary=f"{name} is done", started="2026-01-31T14:25:01.000Z", seconds=seconds, **more
    )


def report(case_id: str = "case-1", **more: object) -> CaseReport:
    values: dict[str, object] = {
        "case_id": case_id,
        "status": "done",
        "created": "2026-01-31T14:25:01.000Z",
        "video": VideoFacts(
            path="videos/a|b.mp4", sha256="0" * 64, kind="video", reader="decord", fps=25.0, duration=71.5,
            width=640, height=480, total_frames=1788, sampling="uniform", seconds=[0.0, 64.5], indices=[0, 1612],
        ),
        "site": "colon",
        "diagnosis": "colon adenocarcinoma",
        "differential": [
            Candidate(label="colon adenocarcinoma", probability=0.8, support=["model"]),
            Candidate(label="benign colon tissue", probability=0.2, support=[]),
        ],
        "confidence": 0.8,
        "description": "Crowded | irregular glands.\n- <script>alert(1)</script> [bold]x[/bold]",
        "findings": [Finding(text="Crowded | irregular glands.", seconds=64.5, frame=1612, image="frames/0001612.png", rests_on="measured")],
        "similar_cases": [
            SimilarCase(id="r1", source="s1", diagnosis="colon adenocarcinoma", description="Glands.", score=0.71)
        ],
        "blind_diagnosis": "benign colon tissue",
        "changed_by_retrieval": True,
        "quality": {"verdict": "good", "tissue": 0.81},
        "steps": [step("intake"), step("describe", device="cpu")],
        "model": "VideoPath-nano",
        "settings": RunSettings(model="nano", frames=2),
        "provenance": {"weights_sha256": "1" * 64, "versions": {"torch": "2.13.0"}},
    }  # fmt: skip
    return CaseReport(**(values | more))


def write_evidence(folder: Path, finished: CaseReport) -> None:
    """The trace and the evidence frame that a run leaves in the case folder."""
    for done in finished.steps:
        append_step(folder / "trace.jsonl", done)
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(folder / "frames" / "0001612.png")


@pytest.fixture(scope="session")
def cases() -> SimpleNamespace:
    """The makers above."""
    return SimpleNamespace(report=report, step=step, write_evidence=write_evidence)


@pytest.fixture(scope="session")
def diagnosed() -> Callable[..., DiagnoseResult]:
    """``diagnosed({"adenoma": 0.8, "mucosa": 0.2})``: what a model said, the first candidate as its label."""

    def make(differential: dict[str, float], **more: Any) -> DiagnoseResult:
        label = max(differential, key=lambda name: differential[name])
        facts = {
            "label": label,
            "generated": label,
            "generated_differs": False,
            "rationale": "",
            "differential": [
                Candidate(label=n, probability=p, support=["model"]) for n, p in differential.items()
            ],
            "scores": {},
            "samples": [],
            "answer": "",
            "call": ModelCall(prompt="", prompt_sha256="", seconds=0, device="cpu", model="m"),
        }
        return DiagnoseResult.model_validate({**facts, **more})

    return make


@pytest.fixture(scope="session")
def voted() -> Callable[..., CasesVote]:
    """``voted({"adenoma": 0.9, "mucosa": 0.1})``: what similar cases said, vouched for unless told otherwise."""

    def make(shares: dict[str, float], **more: Any) -> CasesVote:
        leading = max(shares, key=lambda name: shares[name])
        facts = {
            "diagnosis": leading,
            "shares": shares,
            "site": "colon",
            "ballots": [
                CaseBallot(id=f"case {name}", group=name, diagnosis=name, similarity=share, weight=share)
                for name, share in shares.items()
            ],
            "nearness": 0.9,
            "own": 1.0,
            "probability": 0.96,
            "from_here": True,
            "vouches": True,
            "measured_on": "90 cases of 30 groups, right in 0.93 of them",
            "deciding": [f"case {leading}"],
        }
        return CasesVote.model_validate({**facts, **more})

    return make


@pytest.fixture(scope="session")
def trial(diagnosed: Callable[..., DiagnoseResult], voted: Callable[..., CasesVote]) -> Callable[..., Trial]:
    """``trial("adenoma", "mucosa", sure=0.7)``: an answer to a case of a known diagnosis."""

    def make(
        truth: str, said: str, sure: float = 0.9, group: str = "g", vote: dict[str, float] | None = None
    ) -> Trial:
        other = "mucosa" if said == "adenoma" else "adenoma"
        result = diagnosed({said: sure, other: 1 - sure})
        cast = voted(vote) if vote else None
        found = RetrieveResult(query="", neighbours=[], vote=cast, voters_are_known_tissue=bool(cast))
        return Trial(truth, group, "colon", result, result, found, {said: sure, other: 1 - sure})

    return make
