"""A signed case becomes knowledge once; its own video never finds it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from videopath.agent.cases.learning import add_to_knowledge, record_of
from videopath.agent.cases.records import Decision
from videopath.core.errors import CaseError, KnowledgeError
from videopath.core.files import sha256_file
from videopath.knowledge import STARTER_FOLDER, InstructionRecord, KnowledgeBase, Media
from videopath.tools import RetrieveTool
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer


def test_a_signed_case_is_found_by_the_next_one_but_not_by_itself(
    tmp_path: Path, cases: SimpleNamespace
) -> None:
    folder = tmp_path / "own" / "cases"
    first = cases.report("one", status="signed", description="Crowded irregular glands with necrosis.")
    assert add_to_knowledge(first, folder, confirmed=True) == "case-one"
    other = first.video.model_copy(update={"sha256": "2" * 64})
    second = cases.report("two", status="signed", diagnosis="tubular adenoma", video=other)
    assert add_to_knowledge(second, folder, confirmed=True) == "case-two"
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
    add_to_knowledge(signed, folder, confirmed=True)
    with pytest.raises(CaseError, match="already in the knowledge base"):
        add_to_knowledge(signed, folder, confirmed=True)
    with pytest.raises(KnowledgeError, match="starter"):
        add_to_knowledge(signed, STARTER_FOLDER, confirmed=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(KnowledgeError, match="cannot be written"):
        add_to_knowledge(signed, tmp_path / "file" / "cases", confirmed=True)


def test_the_record_holds_what_the_person_signed(cases: SimpleNamespace) -> None:
    report = cases.report(status="signed", question=None, diagnosis="tubular adenoma")
    record = record_of(report, confirmed=True)
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
    record = record_of(report, confirmed=True)
    assert record.media == (Media(path=report.video.path),)
    assert record.provenance["case"] == report.case_id
    assert record.provenance["reviewer"] == "Dr. A"
    assert record.provenance["decided"] == "2026-01-31T14:25:00+00:00"
    assert record.provenance["corrected"] == "diagnosis by Dr. A"
    assert record.provenance["diagnosis before"] == "colon adenocarcinoma"
    assert record.provenance["model"] == report.model


def test_patient_and_group_keep_other_cases_of_theirs_apart(tmp_path: Path, cases: SimpleNamespace) -> None:
    report = cases.report(status="signed")
    assert (record_of(report, confirmed=True).patient, record_of(report, confirmed=True).group) == (
        None,
        None,
    )
    add_to_knowledge(report, tmp_path / "kb", patient="P 7", group="block 2", confirmed=True)
    for name, reason in (("p 7", "patient"), ("Block 2", "group")):
        found = RetrieveTool(knowledge=tmp_path / "kb").invoke(
            {"description": "Glands.", "exclude_sources": [name]}
        )
        assert [(left.id, left.reason) for left in found.excluded] == [("case-case-1", reason)]


@pytest.fixture
def pictures(tmp_path: Path) -> KnowledgeBase:
    """A knowledge base with pictures that were seen by nano."""
    Image.effect_noise((64, 64), 90).save(tmp_path / "first.png")
    record = InstructionRecord(
        id="first", source="first", question="q", diagnosis="d", media=(Media(path="first.png"),)
    )
    viewer = MediaViewer(load_frame_encoder("tower:nano"), tmp_path)
    return KnowledgeBase.build(tmp_path / "kb", [record], viewer=viewer)


def _note_of(base: KnowledgeBase) -> str:
    return KnowledgeBase.open(base.folder).changes()[-1].note


def test_a_case_whose_pictures_cannot_be_seen_is_added_by_its_words(
    tmp_path: Path, cases: SimpleNamespace, pictures: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "case.png"
    Image.effect_noise((64, 64), 90).save(path)
    facts = cases.report().video.model_copy(update={"path": str(path), "sha256": sha256_file(path)})

    def add(name: str) -> str:
        add_to_knowledge(cases.report(name, status="signed", video=facts), pictures.folder, confirmed=True)
        return _note_of(pictures)

    assert add("whole") == "signed case whole"
    path.write_bytes(path.read_bytes() + b"\0")
    assert add("changed").endswith(f"its pictures were not seen: {path} is another file now")
    path.unlink()
    assert add("gone").endswith(f"{path} is gone")
    Image.effect_noise((64, 64), 90).save(path)
    facts = facts.model_copy(update={"sha256": sha256_file(path)})
    monkeypatch.setattr(MediaViewer, "sha256", "1" * 64)
    assert add("other weights").endswith("tower:nano has other weights here")
    base = KnowledgeBase.open(pictures.folder)
    assert base.verify() == []
    assert base.info().index["image"] == ["exact, 1 vectors", "exact, 1 vectors"]


def test_two_who_add_at_once_lose_nothing(tmp_path: Path, cases: SimpleNamespace) -> None:
    reports = [cases.report(f"case-{number}", status="signed") for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda report: add_to_knowledge(report, tmp_path / "kb", confirmed=True), reports))
    assert len(KnowledgeBase.open(tmp_path / "kb")) == 3
