"""A signed case is added to, never overwritten: name and time stand in every form of its report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from pypdf import PdfReader

from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.learning import record_of
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.records import CaseReport
from videopath.core.errors import CaseError

TEXT = "Immunohistochemistry | CDX2 is positive."


@pytest.fixture
def library(own_home: Path, cases: SimpleNamespace) -> CaseLibrary:
    made = load_case_library()
    made.save(cases.report("case-1"))
    return made


def test_an_addendum_overwrites_nothing(library: CaseLibrary) -> None:
    signed = library.sign("case-1", "Dr. A", diagnosis="tubular adenoma", confirmed=True)
    report = library.add_addendum("case-1", " Dr. B ", f" {TEXT} ", "serrated adenoma")
    assert library.get("case-1") == report
    assert report.model_copy(update={"addenda": []}) == signed
    (added,) = report.addenda
    assert (added.text, added.reviewer, added.diagnosis) == (TEXT, "Dr. B", "serrated adenoma")
    assert added.added.endswith("Z")
    entry = library.entry("case-1")
    assert (entry.status, entry.signed_by, entry.diagnosis) == ("signed", "Dr. A", "tubular adenoma")
    library.add_addendum("case-1", "Dr. C", "Seen again.")
    assert [a.reviewer for a in library.get("case-1").addenda] == ["Dr. B", "Dr. C"]
    assert library.get("case-1").amended_diagnosis == "serrated adenoma"
    with pytest.raises(CaseError, match="stays as signed"):
        library.save(signed)  # without what was added


def test_an_addendum_is_in_every_form_of_the_report(
    library: CaseLibrary, cases: SimpleNamespace, tmp_path: Path
) -> None:
    library.sign("case-1", "Dr. A", diagnosis="tubular adenoma")
    report = library.add_addendum("case-1", "Dr. B", TEXT, "serrated adenoma")
    markdown = (library.folder("case-1") / "report.md").read_text(encoding="utf-8")
    assert r"CDX2 is positive" in markdown.partition("## Addenda")[2]
    pdf = library.export("case-1", tmp_path / "a.pdf", "pdf")
    written = " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())
    for text in (markdown, written):
        assert "Dr. B" in text
        assert "serrated adenoma" in text
        assert text.index("tubular adenoma") < text.index("CDX2")
    assert read_bundle(library.export("case-1", tmp_path / "a.zip")).report.addenda == report.addenda
    exported = json.loads(library.export("case-1", tmp_path / "a.json", "json").read_text(encoding="utf-8"))
    assert exported["addenda"][0]["text"] == TEXT


def test_what_is_learned_follows_the_latest_diagnosis(library: CaseLibrary) -> None:
    library.sign("case-1", "Dr. A", diagnosis="tubular adenoma")
    record = record_of(
        library.add_addendum("case-1", "Dr. B", TEXT, "serrated adenoma"), description="Serrated crypts."
    )
    assert record.diagnosis == "serrated adenoma"
    assert (record.provenance["amended by"], record.provenance["signed as"]) == ("Dr. B", "tubular adenoma")


@pytest.mark.parametrize(
    ("name", "text", "diagnosis", "reason"),
    [
        (" ", TEXT, None, "needs a name"),
        ("Dr. B", " \n", None, "needs a text"),
        ("Dr. B", TEXT, "not a tissue that this model knows", "not a diagnosis"),
        ("Dr. B", "\ud800", None, "not valid text"),
    ],
)
def test_an_addendum_needs_a_name_a_text_and_no_empty_diagnosis(
    library: CaseLibrary, name: str, text: str, diagnosis: str | None, reason: str
) -> None:
    library.sign("case-1", "Dr. A")
    with pytest.raises(CaseError, match=reason):
        library.add_addendum("case-1", name, text, diagnosis)
    assert library.get("case-1").addenda == []


def test_only_a_signed_case_has_an_addendum(library: CaseLibrary) -> None:
    with pytest.raises(CaseError, match="only a signed case takes an addendum"):
        library.add_addendum("case-1", "Dr. B", TEXT)
    with pytest.raises(CaseError, match="no case nobody"):
        library.add_addendum("nobody", "Dr. B", TEXT)


def test_a_case_of_before_opens_without_addenda(cases: SimpleNamespace) -> None:
    old = json.loads(cases.report(status="signed").to_json())
    del old["addenda"]
    assert CaseReport.from_json(json.dumps(old)).addenda == []
