"""What the tests of reports, bundles and the library share: a finished case with odd texts in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from videopath.agent.records import CaseReport, Finding, RunSettings, SimilarCase, Step, VideoFacts
from videopath.agent.trace import append_step
from videopath.tools.schemas import Candidate


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
        "findings": [Finding(text="Crowded | irregular glands.", seconds=64.5, frame=1612, image="frames/0001612.png")],
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
