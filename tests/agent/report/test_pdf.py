"""The PDF says what the report says: its text is read back out of it."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.agent.cases.records import CaseReport, Decision, Finding
from videopath.core.notice import RESEARCH_USE


def pages(report: CaseReport) -> list[str]:
    """The text of each page, white space as single spaces."""
    reader = pypdf.PdfReader(io.BytesIO(report.to_pdf()))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def signed(cases: SimpleNamespace, folder: Path, **more: object) -> CaseReport:
    decision = Decision(
        action="edit",
        reviewer="Dr. Łucja Παπαδόπουλος-Ångström",
        diagnosis="tubular adenoma",
        comment="No invasion; p < 0.05 & clear.",
        decided="2026-01-31T15:00:00.000Z",
        changes={
            "diagnosis": {"from": "colon adenocarcinoma", "to": "tubular adenoma"},
            "findings": {"from": ["Crowded glands.", "Necrosis."], "to": ["Crowded glands.", "No necrosis."]},
            "segment": {"from": [None, None], "to": [2.0, 64.5]},
        },
    )
    values = {"status": "signed", "diagnosis": "tubular adenoma", "review": [decision], "folder": folder}
    report = cases.report(**(values | more))
    report.findings[0].image = "frames/0001612.png"
    cases.write_evidence(folder, report)
    return report


def test_every_part_is_there_and_the_banner_on_every_page(tmp_path: Path, cases: SimpleNamespace) -> None:
    report = signed(cases, tmp_path, steps=[cases.step(f"step-{number}") for number in range(60)])
    found = pages(report)
    assert len(found) > 2
    for number, page in enumerate(found, 1):
        assert RESEARCH_USE in page
        assert f"page {number} of {len(found)}" in page
        assert "case case-1 · signed by a person" in page
    text = " ".join(found)
    for part in (
        "tubular adenoma",
        "Signed by Dr. Łucja Παπαδόπουλος-Ångström, 2026-01-31 15:00 UTC",
        "No invasion; p < 0.05 & clear.",
        "Confidence of the agent in colon adenocarcinoma: 80%",
        "Crowded | irregular glands.",
        "1:04.50, frame 1612",
        "benign colon tissue",
        "20.0%",
        "0.710",
        "− Necrosis.",
        "+ No necrosis.",
        "0:00.00 to the end",
        "Before the similar cases were seen",
        "step-59",
        "1" * 64,
        "versions.torch",
    ):
        assert part in text, part


def test_the_frames_are_in_it(tmp_path: Path, cases: SimpleNamespace) -> None:
    report = signed(cases, tmp_path)
    reader = pypdf.PdfReader(io.BytesIO(report.to_pdf()))
    assert sum(len(page.images) for page in reader.pages) == 1
    assert reader.metadata.title == "Case case-1"
    (tmp_path / "frames" / "0001612.png").write_bytes(b"no picture")
    assert "frame is not kept" in " ".join(pages(report))
    report.findings[0].image = "../outside.png"
    assert "frame is not kept" in " ".join(pages(report))


def test_the_same_report_gives_the_same_bytes(tmp_path: Path, cases: SimpleNamespace) -> None:
    report = signed(cases, tmp_path)
    once = report.to_pdf()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: report.to_pdf(), range(6))) == {once}


def test_an_abstained_case_says_so_and_what_would_help(cases: SimpleNamespace) -> None:
    text = " ".join(
        pages(cases.report(status="abstained", abstained=True, advice=["A longer clip at high power."]))
    )
    assert "Leading candidate, not vouched for" in text
    assert "The agent abstained" in text
    assert "A longer clip at high power." in text
    assert "Not signed by a person." in text
    assert "failed" in pages(CaseReport(case_id="c", status="failed"))[0]


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=60))
def test_any_text_makes_a_document(text: str, cases: SimpleNamespace) -> None:
    finding = Finding(text=text, seconds=1.0, frame=3)
    decision = Decision(action="edit", reviewer=text, diagnosis=text or "x", comment=text)
    assert pages(cases.report(findings=[finding], description=text, question=text, review=[decision]))


@pytest.mark.parametrize(
    "name", ["Łucja Ångström", "Ελένη Παπαδόπουλος", "Иван Петров", "<b>x</b> & 'y'", "≥ 3 µm ± 0.5 → β"]
)
def test_letters_of_many_scripts_can_be_copied_out_again(name: str, cases: SimpleNamespace) -> None:
    text = " ".join(pages(cases.report(description=name)))
    assert re.sub(r"\s", "", name) in re.sub(r"\s", "", text)


def test_a_very_long_text_runs_over_pages(cases: SimpleNamespace) -> None:
    words = " ".join(f"word{number}" for number in range(6000))
    decision = Decision(
        action="revise", description=words, changes={"description": {"from": words, "to": "x"}}
    )
    similar = cases.report().similar_cases[0].model_copy(update={"description": words})
    finding = Finding(text=words, seconds=1.0, frame=3)
    report = cases.report(
        description=words, findings=[finding], review=[decision], similar_cases=[similar], rationale=words
    )
    text = " ".join(pages(report))
    assert text.count("word5999") == 5
