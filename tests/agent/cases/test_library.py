"""The case library keeps cases apart, survives several writers and says what is wrong in one sentence."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import CaseLibrary, load_case_library, new_case_id
from videopath.agent.cases.records import Annotation
from videopath.core.errors import CaseError


@pytest.fixture
def library(own_home: Path) -> CaseLibrary:
    return load_case_library()


def test_an_empty_library_is_empty_and_reading_creates_nothing(library: CaseLibrary, own_home: Path) -> None:
    assert library.home == own_home
    assert library.list() == []
    with pytest.raises(CaseError, match="no case nothing-here"):
        library.get("nothing-here")
    assert not own_home.exists()


def test_a_case_from_start_to_signature(library: CaseLibrary, cases: SimpleNamespace) -> None:
    folder = library.start("case-1", "a.mp4", "colon", "nano")
    assert folder.is_dir()
    assert library.entry("case-1").status == "running"
    with pytest.raises(CaseError, match="no report yet"):
        library.get("case-1")
    with pytest.raises(CaseError, match="already"):
        library.start("case-1", "a.mp4", None, "nano")
    created = library.entry("case-1").created

    report = cases.report()
    library.save(report)
    entry = library.entry("case-1")
    assert (entry.status, entry.site, entry.diagnosis) == ("done", "colon", "colon adenocarcinoma")
    assert entry.created == created
    assert library.get("case-1") == report
    assert (folder / "report.md").read_text().startswith("# Case case-1")

    line = Annotation(
        seconds=1.5, shape="line", place=[0, 0, 0.5, 0], note="*depth*", pixels=80, micrometres=20
    )
    signed = library.sign("case-1", "Dr. A", "agreed", annotations=[line])
    assert signed.status == "signed"
    decision = library.get("case-1").review[-1]
    assert (decision.action, decision.annotations) == ("accept", [line])
    assert decision.changes == {
        "annotations": {"from": [], "to": ["line at 1.50 s (0%, 0%, 50%, 0%, 80 px, 20 µm): *depth*"]}
    }
    assert "80 px, 20 µm): \\*depth\\*" in (folder / "report.md").read_text()
    assert (signed.review[-1].reviewer, signed.review[-1].comment) == ("Dr. A", "agreed")
    entry = library.entry("case-1")
    assert (entry.status, entry.signed_by, entry.comment) == ("signed", "Dr. A", "agreed")
    assert entry.signed_at == signed.review[-1].decided
    with pytest.raises(CaseError, match=r"signed by Dr\. A"):
        library.sign("case-1", "Dr. B")


def test_a_signature_ends_the_need_for_checkpoints(library: CaseLibrary, cases: SimpleNamespace) -> None:
    library.save(cases.report("case-1"))
    with closing(sqlite3.connect(library.home / "checkpoints.sqlite")) as database, database:
        database.execute("CREATE TABLE checkpoints (thread_id TEXT)")
        database.executemany("INSERT INTO checkpoints VALUES (?)", [("case-1",), ("case-2",)])
    library.sign("case-1", "Dr. A")
    with closing(sqlite3.connect(library.home / "checkpoints.sqlite")) as database:
        assert database.execute("SELECT thread_id FROM checkpoints").fetchall() == [("case-2",)]
    (library.home / "checkpoints.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(CaseError, match=r"checkpoints\.sqlite of the case library cannot be used"):
        library.drop_checkpoints("case-1")


def test_only_finished_cases_are_signed(library: CaseLibrary, cases: SimpleNamespace) -> None:
    library.start("open", "a.mp4", None, "nano")
    with pytest.raises(CaseError, match="only a finished case"):
        library.sign("open", "Dr. A")
    library.save(cases.report("unsure", status="abstained", abstained=True))
    with pytest.raises(CaseError, match="abstained"):
        library.sign("unsure", "Dr. A")
    signed = library.sign("unsure", "Dr. A", diagnosis="hyperplastic polyp")
    assert signed.diagnosis == "hyperplastic polyp"
    assert signed.review[-1].action == "edit"
    library.save(cases.report("sure"))
    with pytest.raises(CaseError, match="needs a name"):
        library.sign("sure", "  ")


def test_lists_by_status_and_site_newest_first(library: CaseLibrary, cases: SimpleNamespace) -> None:
    for number, (status, site) in enumerate([("done", "colon"), ("failed", "lung"), ("done", "lung")]):
        library.save(
            cases.report(f"case-{number}", status=status, site=site, created=f"2026-01-0{number + 1}")
        )
    assert [entry.case_id for entry in library.list()] == ["case-2", "case-1", "case-0"]
    assert [entry.case_id for entry in library.list(status="done")] == ["case-2", "case-0"]
    assert [entry.case_id for entry in library.list(status="done", site="lung")] == ["case-2"]


def test_a_failure_keeps_its_reason(library: CaseLibrary) -> None:
    library.start("case-1", "a.mp4", None, "nano")
    library.set_status("case-1", "failed", "The disk is full.")
    assert library.entry("case-1").comment == "The disk is full."


def test_delete_removes_folder_row_and_checkpoints(library: CaseLibrary, cases: SimpleNamespace) -> None:
    library.save(cases.report("case-1"))
    library.save(cases.report("case-2"))
    with sqlite3.connect(library.home / "checkpoints.sqlite") as database:
        database.execute("CREATE TABLE checkpoints (thread_id TEXT)")
        database.executemany("INSERT INTO checkpoints VALUES (?)", [("case-1",), ("case-2",)])
    database.close()
    library.delete("case-1")
    assert [entry.case_id for entry in library.list()] == ["case-2"]
    assert not library.folder("case-1").exists()
    assert library.folder("case-2").exists()
    database = sqlite3.connect(library.home / "checkpoints.sqlite")
    assert database.execute("SELECT thread_id FROM checkpoints").fetchall() == [("case-2",)]
    database.close()
    with pytest.raises(CaseError, match="no case case-1"):
        library.delete("case-1")


def test_a_case_at_work_is_not_deleted(library: CaseLibrary) -> None:
    library.start("busy", "a.mp4", "colon", "nano")
    with library.working("busy"), pytest.raises(CaseError, match="works on case"):
        library.delete("busy")
    library.delete("busy")
    assert library.list() == []


def test_export_is_a_bundle_with_the_evidence(
    library: CaseLibrary, tmp_path: Path, cases: SimpleNamespace
) -> None:
    report = cases.report()
    cases.write_evidence(library.save(report), report)
    bundle = read_bundle(library.export("case-1", tmp_path / "case-1.zip"))
    assert bundle.problems == []
    assert "frames/0001612.png" in bundle.manifest["files"]


@pytest.mark.parametrize("bad", ["", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "x" * 81, "a\0b", "é"])
def test_ids_never_leave_the_library(library: CaseLibrary, bad: str) -> None:
    for action in (library.folder, library.entry, library.get, library.delete):
        with pytest.raises(CaseError, match="not a case id"):
            action(bad)


@given(st.text(max_size=20))
def test_a_folder_is_always_inside_the_home(case_id: str) -> None:
    library = CaseLibrary(Path("/home-of-cases"))
    try:
        folder = library.folder(case_id)
    except CaseError:
        return
    assert folder.resolve().parent == Path("/home-of-cases/cases")


def test_fresh_ids_differ_and_are_safe(library: CaseLibrary) -> None:
    ids = {new_case_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(library.folder(case_id).name == case_id for case_id in ids)


def test_writers_at_once_lose_nothing(library: CaseLibrary, cases: SimpleNamespace) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: load_case_library().save(cases.report(f"case-{n}")), range(20)))
    assert len(library.list()) == 20


def test_new_libraries_are_begun_at_once_in_one_process(tmp_path: Path, cases: SimpleNamespace) -> None:
    homes = [CaseLibrary(tmp_path / f"home-{number}") for number in range(6)]
    with ThreadPoolExecutor(len(homes)) as pool:
        list(pool.map(lambda library: library.save(cases.report("case-1")), homes))
    assert [library.entry("case-1").status for library in homes] == ["done"] * len(homes)


def test_a_damaged_report_and_a_damaged_table_are_named(library: CaseLibrary, cases: SimpleNamespace) -> None:
    folder = library.save(cases.report())
    (folder / "report.json").write_text("{}")
    with pytest.raises(CaseError, match=r"report\.json was damaged"):
        library.get("case-1")
    library.database.write_bytes(b"no database" * 100)
    with pytest.raises(CaseError, match="cannot be used"):
        library.list()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_home_is_said_in_one_sentence(
    library: CaseLibrary, own_home: Path, cases: SimpleNamespace
) -> None:
    own_home.mkdir()
    own_home.chmod(0o500)
    try:
        with pytest.raises((CaseError, OSError)):
            library.save(cases.report())
    finally:
        own_home.chmod(0o700)
