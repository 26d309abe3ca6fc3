"""The report reads well, keeps everything and cannot be broken by texts from outside."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from videopath.agent.cases.records import CaseReport, Decision, ExcludedRecord, Finding, RunSettings
from videopath.agent.report.markdown import to_markdown
from videopath.agent.report.phrases import left_out_sentences
from videopath.agent.report.values import moment
from videopath.core.notice import RESEARCH_USE


def test_json_is_the_identity_and_leaves_the_folder_out(tmp_path: Path, cases: SimpleNamespace) -> None:
    report = cases.report(folder=tmp_path)
    again = CaseReport.from_json(report.to_json(), tmp_path)
    assert again == report
    assert "folder" not in json.loads(report.to_json())
    assert str(tmp_path) not in report.to_json()


def test_json_refuses_unknown_fields(cases: SimpleNamespace) -> None:
    with pytest.raises(ValidationError, match="diagnosys"):
        CaseReport.from_json(cases.report().to_json().replace('"diagnosis"', '"diagnosys"'))


def test_markdown_has_every_part(cases: SimpleNamespace) -> None:
    text = to_markdown(cases.report())
    assert RESEARCH_USE in text
    for part in (
        "Description",
        "Findings",
        "Differential",
        "Similar cases",
        "Before and after",
        "Steps",
        "Provenance",
    ):
        assert part in text, part
    assert "colon adenocarcinoma" in text
    assert "80%" in text
    assert "1:04.50" in text
    assert "[1612](frames/0001612.png)" in text
    assert "changed the answer" in text
    assert "versions.torch" in text


def test_an_abstained_report_says_so_and_what_would_help(cases: SimpleNamespace) -> None:
    text = to_markdown(
        cases.report(status="abstained", abstained=True, advice=["A longer clip at high power."])
    )
    assert "abstained" in text
    assert "Leading candidate, not vouched for" in text
    assert "A longer clip at high power." in text


def test_a_report_of_before_there_were_views_opens_as_it_was() -> None:
    path = Path(__file__).with_name("report_without_views.json")
    report = CaseReport.from_json(path.read_bytes())
    case = report.similar_cases[0]
    assert (case.rank, case.ranks, case.scores) == (0, {}, {})
    assert (report.excluded, report.excluded_count, report.settings.exclude) == ([], 0, [])
    assert left_out_sentences(report) == []
    assert "| – |" in to_markdown(report), "ranks that are not known"
    assert "Left out of the search" not in to_markdown(report)
    assert report.to_pdf().startswith(b"%PDF")
    again = CaseReport.from_json(report.to_json())
    assert again == report
    then = json.loads(path.read_bytes())
    then["settings"]["writing"] = "keep"  # nothing was filled then
    assert report.model_dump(mode="json", exclude_unset=True) == then


def test_ranks_and_what_was_left_out_are_told(cases: SimpleNamespace) -> None:
    found = {"ranks": {"image": 1, "text": 3}, "scores": {"image": 0.9, "text": 0.5}, "rank": 1}
    report = cases.report(
        similar_cases=[cases.report().similar_cases[0].model_copy(update=found)],
        excluded=[
            ExcludedRecord(id=f"r|{number}", source="s", reason="patient", detail="P*7")
            for number in range(7)
        ],
        excluded_count=30,
        retrieval_notes=["Pictures were not compared: <b>other</b> weights."],
        settings=RunSettings(exclude=["P*7", "block 2"]),
    )
    asked, excluded, note = left_out_sentences(report)
    assert asked == "Asked to be left out: P*7, block 2."
    assert excluded.startswith("30 records of the knowledge base could not be used")
    assert excluded.endswith("; and 25 more.")
    text = to_markdown(report)
    picture = ExcludedRecord(id="r8", source="s", reason="near-identical frame", detail="9 bits differ")
    told = to_markdown(cases.report(excluded=[picture], excluded_count=1))
    assert "1 record of the knowledge base could not be used" in told
    assert "r8 (near-identical frame: 9 bits differ)." in told
    assert "| text 3, image 1, lexical – |" in text
    assert "## Left out of the search" in text
    assert "\\<b\\>other" in text
    assert "r\\|0 (same patient: P\\*7)" in text
    assert report.to_pdf().startswith(b"%PDF")


def test_an_empty_report_is_still_a_report() -> None:
    text = to_markdown(CaseReport(case_id="c", status="failed"))
    assert RESEARCH_USE in text
    assert "failed" in text


def test_texts_from_outside_bring_in_no_html_and_no_cells(cases: SimpleNamespace) -> None:
    text = to_markdown(cases.report())
    assert "<script" not in text.replace("\\<", "")
    row = next(line for line in text.splitlines() if line.startswith("| 1:04.50"))
    assert row.replace("\\|", "").count("|") == 5


def test_texts_from_outside_bring_in_no_links(cases: SimpleNamespace) -> None:
    text = to_markdown(cases.report(rationale="See [x](http://a.bc), HTTPS://a.bc, www.a.bc or a@a.bc."))
    assert r"See \[x\](http\://a.bc), HTTPS\://a.bc, www\.a.bc or a\@a.bc." in text


def test_the_name_of_a_changed_field_brings_in_no_cells_and_no_links(cases: SimpleNamespace) -> None:
    changes = {"a|b [x](http://a.bc) <b>": {"from": "1", "to": "2"}}
    edited = Decision(action="edit", reviewer="Dr. A", diagnosis="d", changes=changes)
    text = to_markdown(cases.report(review=[edited]))
    assert r"| a\|b \[x\](http\://a.bc) \<b\> | 1 | 2 |" in text


@given(text=st.text(max_size=80))
def test_any_text_stays_in_its_cell(text: str, cases: SimpleNamespace) -> None:
    finding = Finding(text=text, seconds=1.0, frame=3, rests_on="measured")
    markdown = to_markdown(cases.report(findings=[finding], description="d"))
    row = next(line for line in markdown.split("\n") if line.startswith("| 0:01.00"))
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 5


@given(st.floats(min_value=0, max_value=1e6))
def test_moments_read_back(seconds: float) -> None:
    minutes, _, rest = moment(seconds).partition(":")
    assert float(rest) < 60
    assert abs(int(minutes) * 60 + float(rest) - seconds) < 0.006
