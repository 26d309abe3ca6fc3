"""A signed case becomes knowledge once; its own video never finds it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent.learning import add_to_knowledge, record_of
from videopath.agent.records import Decision
from videopath.core.errors import CaseError, KnowledgeError
from videopath.knowledge import STARTER_FOLDER, KnowledgeBase, Media
from videopath.tools import RetrieveTool


def test_a_signed_case_is_found_by_the_next_one_but_not_by_itself(
    tmp_path: Path, cases: SimpleNamespace
) -> None:
    folder = tmp_path / "own" / "cases"
    first = cases.report("one", status="signed", description="Crowded irregular glands with necrosis.")
    assert add_to_knowledge(first, folder) == "case-one"
    other = first.video.model_copy(update={"sha256": "2" * 64})
    second = cases.report("two", status="signed", diagnosis="tubular adenoma", video=other)
    assert add_to_knowledge(second, folder) == "case-two"
    base = KnowledgeBase.open(folder)
    assert base.verify() == []
    assert (len(base), base.get("case-two").diagnosis) == (2, "tubular adenoma")
    found = RetrieveTool(knowledge=folder).invoke(
        {"description": "Crowded glands.", "site": "colon", "exclude_sources": ["elsewhere/b.mp4", "0" * 64]}
    )
    assert [neighbour.id for neighbour in found.neighbours] == ["case-two"]


def test_only_signed_cases_and_each_once(tmp_path: Path, cases: SimpleNamespace) -> None:
    folder = tmp_path / "cases"
    for status in ("done", "abstained", "rejected", "waiting for review"):
        with pytest.raises(CaseError, match="sign it first"):
            add_to_knowledge(cases.report(status=status), folder)
    assert not folder.exists()
    signed = cases.report(status="signed")
    add_to_knowledge(signed, folder)
    with pytest.raises(CaseError, match="already: case-case-1"):
        add_to_knowledge(signed, folder)
    with pytest.raises(KnowledgeError, match="starter"):
        add_to_knowledge(signed, STARTER_FOLDER)
    (tmp_path / "file").write_text("")
    with pytest.raises(KnowledgeError, match="cannot be written"):
        add_to_knowledge(signed, tmp_path / "file" / "cases")


def test_the_record_holds_what_the_person_signed(cases: SimpleNamespace) -> None:
    report = cases.report(status="signed", question=None, diagnosis="tubular adenoma")
    record = record_of(report)
    assert (record.site, record.diagnosis, record.description) == (
        "colon",
        "tubular adenoma",
        report.description,
    )
    assert record.question == "What is the best diagnosis for this colon tissue?"


def test_the_record_says_where_it_comes_from(cases: SimpleNamespace) -> None:
    decision = Decision(
        action="edit",
        reviewer="Dr. A",
        diagnosis="tubular adenoma",
        decided="2026-01-31T14:25:00+00:00",
        changes={"diagnosis": {"from": "colon adenocarcinoma", "to": "tubular adenoma"}},
    )
    report = cases.report(status="signed", diagnosis="tubular adenoma", review=[decision])
    record = record_of(report)
    assert record.media == (Media(path=report.video.path),)
    assert record.provenance["case"] == report.case_id
    assert record.provenance["reviewer"] == "Dr. A"
    assert record.provenance["decided"] == "2026-01-31T14:25:00+00:00"
    assert record.provenance["corrected"] == "diagnosis by Dr. A"
    assert record.provenance["diagnosis before"] == "colon adenocarcinoma"
    assert record.provenance["model"] == report.model


def test_two_who_add_at_once_lose_nothing(tmp_path: Path, cases: SimpleNamespace) -> None:
    reports = [cases.report(f"case-{number}", status="signed") for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda report: add_to_knowledge(report, tmp_path / "kb"), reports))
    assert len(KnowledgeBase.open(tmp_path / "kb")) == 3
