"""Signing, adding and learning by the command line; the words that it takes and those that it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.records import CaseReport, Finding, VideoFacts
from videopath.knowledge import KnowledgeBase

Run = Callable[..., Result]

VIDEO = VideoFacts(
    path="a.mp4", sha256="0" * 64, kind="video", reader="pyav", fps=8.0, duration=3.0, width=64, height=64,
    total_frames=24, sampling="uniform", seconds=[1.0], indices=[8],
)  # fmt: skip


@pytest.fixture
def library(own_home: Path) -> CaseLibrary:
    made = load_case_library()
    for case_id in ("done", "other"):
        made.save(
            CaseReport(
                case_id=case_id,
                status="done",
                video=VIDEO,
                site="colon",
                diagnosis="colon adenocarcinoma",
                confidence=0.8,
                description="Crowded glands.",
                findings=[Finding(text="Crowded glands.", seconds=1.0, frame=8)],
                provenance={"calibrated": True},
            )
        )
    return made


def test_a_case_is_corrected_signed_and_added_to(videopath: Run, library: CaseLibrary) -> None:
    words = ("--diagnosis", "tubular adenoma", "--description", "Tubules.", "--finding", "Low grade.")
    assert videopath("cases", "addendum", "done", "--reviewer", "Dr. B", "--text", "x").exit_code == 1
    signed = videopath("cases", "sign", "done", "--reviewer", "Dr. A", *words, "--json")
    assert signed.exit_code == 0, signed.stderr
    report = CaseReport.from_json(signed.stdout)
    assert (report.description, [f.text for f in report.findings]) == ("Tubules.", ["Low grade."])
    late = videopath(
        "cases", "sign", "done", "--reviewer", "Dr. C", "--description", "Crypts.", "--finding", "Serrated."
    )
    assert late.exit_code == 1
    assert "description: Crypts.; findings: Serrated." in " ".join(late.stderr.split())
    added = videopath(
        "cases", "addendum", "done", "--reviewer", "Dr. B", "--text", "CDX2.", "--diagnosis", "polyp"
    )
    assert added.exit_code == 0, added.stderr
    shown = videopath("cases", "show", "done").stdout
    for words_of in ("Who said what", "Dr. B added an addendum", "CDX2.", "What the agent said"):
        assert words_of in shown
    listed = videopath("cases", "list").stdout.splitlines()
    assert ["80%" in line for line in listed if "done" in line.split()[:1]] == [False]
    assert ["80%" in line for line in listed if "other" in line.split()[:1]] == [True]


def test_what_is_learned_is_confirmed_or_written(
    videopath: Run, library: CaseLibrary, tmp_path: Path
) -> None:
    folder = tmp_path / "kb"
    for case_id in ("done", "other"):
        library.sign(case_id, "Dr. A")
    refused = videopath("cases", "learn", "done", folder)
    assert refused.exit_code == 1
    assert "nobody has confirmed it" in " ".join(refused.stderr.split())
    left_out = videopath("knowledge", "build", folder, "--cases")
    assert "Skipped: The description of case done" in " ".join(left_out.stderr.split())
    unknown = ("--finding", "The model was never trained on it.")
    assert videopath("cases", "learn", "done", folder, *unknown).exit_code == 1
    assert videopath("cases", "learn", "done", folder, "--confirm").exit_code == 0
    written = videopath("cases", "learn", "other", folder, "--description", "Tubules.")
    assert written.exit_code == 0, written.stderr
    base = KnowledgeBase.open(folder)
    assert {record.id: record.description for record in base} == {
        "case-done": "Crowded glands.",
        "case-other": "Tubules.",
    }
    assert json.loads(videopath("cases", "show", "done", "--json").stdout)["addenda"] == []
