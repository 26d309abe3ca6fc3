"""Pages of the worklist from both databases: filters, words and orders, also while cases are worked on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert

from videopath.agent.cases.library import CaseEntry, CaseLibrary, load_case_library
from videopath.agent.cases.storage.events import select_events
from videopath.agent.cases.storage.pages import ORDERS
from videopath.agent.cases.storage.sqlite import SqliteStore
from videopath.agent.cases.storage.statements import update_case
from videopath.agent.cases.storage.tables import cases as table
from videopath.agent.cases.team.audit import audit_events, deletions
from videopath.agent.cases.team.people import add_second_reading, assign, enter_batch
from videopath.agent.cases.team.worklist import Sifting, Worklist
from videopath.core.errors import CaseError

_STATUSES = ("done", "running", "queued", "failed", "waiting for review", "signed", "abstained")
_KEYS: dict[str, Any] = {
    "newest first": lambda _entry: 0,
    "highest confidence first": lambda entry: -(entry.confidence or 0.0),
    "lowest confidence first": lambda entry: 2.0 if entry.confidence is None else entry.confidence,
    "diagnosis, A to Z": lambda entry: (not entry.diagnosis, entry.diagnosis.lower()),
    "site, A to Z": lambda entry: (entry.site is None, entry.site or ""),
    "status": lambda entry: entry.state,
    "model": lambda entry: entry.model,
}


@pytest.fixture(params=["sqlite", "postgres"])
def library(request: pytest.FixtureRequest, own_home: Path) -> CaseLibrary:
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    made = load_case_library()
    made.start("case-000", "/videos/Tübingen.MP4", None, "b")
    rows = [
        {
            "case_id": f"case-{number:03d}",
            "status": _STATUSES[number % len(_STATUSES)],
            "video": f"/videos/{number % 3}_%.mp4",
            "site": (None, "colon", "lung")[number % 3],
            "diagnosis": ("", "colon adenocarcinoma", "Benign")[number % 3],
            "confidence": None if number % 4 == 0 else number / 100,
            "model": "ab"[number % 2],
            "created": f"2026-01-01T00:00:{number % 20:02d}",
            "updated": "2026",
        }
        for number in range(1, 42)
    ]
    with made.store.writing() as connection:
        connection.execute(insert(table), rows)
    for number in range(42):
        made.folder(f"case-{number:03d}").mkdir(parents=True, exist_ok=True)
    return made


def expected(entries: list[CaseEntry], order: str) -> list[str]:
    """The ids in an order, where equal cases are newest first."""
    if order == "oldest first":
        return [entry.case_id for entry in sorted(entries, key=lambda entry: (entry.created, entry.case_id))]
    return [entry.case_id for entry in sorted(entries, key=_KEYS[order])]


def ids(worklist: Worklist, **sifting: Any) -> list[str]:
    wanted = Sifting(**sifting)
    pages = [entry.case_id for start in range(0, 60, 7) for entry in worklist.page(wanted, 7, start)]
    assert worklist.count(wanted) == len(pages)
    return pages


def test_pages_hold_what_the_whole_list_holds_in_every_order_and_filter(library: CaseLibrary) -> None:
    with library.working("case-001"), library.working("case-002"), library.working("case-004"):
        entries, worklist = library.list(), Worklist(library)
        for order in ORDERS:
            assert ids(worklist, order=order) == expected(entries, order), order
        counts = {
            state: sum(entry.state == state for entry in entries) for state in dict.fromkeys(_all(entries))
        }
        assert worklist.counts() == counts
        for state in counts:
            assert ids(worklist, statuses=(state,)) == [e.case_id for e in entries if e.state == state], state
            assert library.list(state) == [e for e in entries if e.state == state], state
        both = ids(worklist, statuses=("running", "done"), sites=("colon", None))
        assert both == [
            e.case_id for e in entries if e.state in ("running", "done") and e.site in ("colon", None)
        ]
        mine = Worklist(library, ["case-001", "done-before"])
        assert ids(mine, statuses=("queued",)) == [
            e.case_id for e in entries if e.state == "queued" or e.case_id == "case-001"
        ]
        assert mine.counts()["queued"] == counts["queued"] + 1
        assert mine.counts()["running"] == counts["running"] - 1
    assert worklist.sites() == ["colon", "lung", None]


def _all(entries: list[CaseEntry]) -> list[str]:
    return [entry.state for entry in entries]


def test_every_word_is_looked_for_as_it_is_and_in_any_case(library: CaseLibrary) -> None:
    worklist = Worklist(library)
    assert ids(worklist, words="tÜBINGEN mp4") == ["case-000"]
    assert set(ids(worklist, words="ADENO colon")) == {e.case_id for e in library.list() if e.site == "colon"}
    assert len(ids(worklist, words="_%.mp4")) == 41
    assert ids(worklist, words="x_mp4") == ids(worklist, words="case-0%") == []
    assert (
        ids(worklist, words="\0") == ids(worklist, words="' OR 1=1 --") == ids(worklist, words="\ud800") == []
    )
    assert ids(worklist, words="CASE-041") == ["case-041"]
    assign(library, ["case-005", "gone", "case-006"], "Dr Lütz", "Dr Lütz")
    enter_batch(library, ["case-007"], "Monday")
    with library.store.writing() as connection:
        update_case(connection, "case-008", {"signed_by": "Dr Grey", "comment": "at high power"})
    assert (
        set(ids(worklist, words="dr LÜTZ"))
        == set(ids(worklist, assigned="Dr Lütz"))
        == {"case-005", "case-006"}
    )
    assert ids(worklist, words="GREY high") == ["case-008"]
    assert ids(worklist, words="monday") == ["case-007"]
    assert worklist.people() == ["Dr Grey", "Dr Lütz"]
    assert worklist.batches() == {}  # the case of Monday has ended
    enter_batch(library, ["case-001"], "Monday")
    assert worklist.batches() == {"Monday": {"done": 1, "running": 1}}


def test_a_person_in_charge_stays_when_a_case_ends_and_every_change_is_kept(
    library: CaseLibrary, cases: SimpleNamespace, tmp_path: Path
) -> None:
    assert assign(library, ["case-001"], "Dr A", "Dr B") == 1
    assert assign(library, ["case-001"], "Dr A", "Dr B") == 0
    with pytest.raises(CaseError, match="give your name"):
        assign(library, ["case-001"], "Dr A", " ")
    library.save(cases.report("case-001"))
    library.sign("case-001", "Dr A", "agreed")
    assert (library.entry("case-001").assigned, library.entry("case-001").status) == ("Dr A", "signed")
    assign(library, ["case-001"], "", "Dr B")
    with pytest.raises(CaseError, match="signed case case-001: a second reading needs another person"):
        add_second_reading(library, "case-001", "dr a", "polyp")
    report = add_second_reading(library, "case-001", "Dr C", "Colon  Adenocarcinoma.", "sure")
    assert [reading.agrees for reading in report.second_readings] == [True]
    with pytest.raises(CaseError, match="has read case"):
        add_second_reading(library, "case-001", "Dr C", "polyp")
    with pytest.raises(CaseError, match="stays as signed"):
        library.save(report.model_copy(update={"second_readings": []}))
    kept = [(event.who, event.what) for event in audit_events(library, "case-001")]
    assert sorted(kept) == sorted(
        [("Dr B", "assigned"), ("Dr A", "signed"), ("Dr B", "assigned"), ("Dr C", "second reading")]
    )
    with library.store.reading() as connection:
        assert connection is not None
        assert len(select_events(connection, "case-001")) == 4
    assert "second reading, agrees" in report.to_markdown()
    exported = library.export("case-001", tmp_path / "case.json", "json")
    library.delete("case-001", by="Dr D")
    left = audit_events(library, "case-001")
    assert [(event.who, event.what) for event in left] == [*kept, ("Dr D", "deleted")]
    digest = hashlib.sha256(exported.read_bytes()).hexdigest()
    assert [event.detail for event in left] == ["", "", "", "", f"report {digest}"]
    assert deletions(library) == [left[-1]]


def test_programs_delete_their_own_cases_without_a_trace(library: CaseLibrary) -> None:
    library.delete("case-002")
    assert deletions(library) == []
    with pytest.raises(CaseError, match="no case case-002"):
        audit_events(library, "case-002")
    assign(library, ["case-003"], "Dr A", "Dr B")
    library.delete("case-003")  # a person had acted on it
    assert [(one.who, one.detail) for one in deletions(library)] == [("unnamed", "no report")]


def test_a_table_of_the_revision_before_is_read_as_it_is_and_lifted_by_the_first_write(
    library: CaseLibrary,
) -> None:
    with library.store.writing() as connection:
        for name in ("cases_by_assigned", "cases_by_batch"):
            connection.exec_driver_sql(f"DROP INDEX {name}")
        connection.exec_driver_sql("DROP TABLE events")
        for name in ("vouched_by", "assigned", "batch"):
            connection.exec_driver_sql(f"ALTER TABLE cases DROP COLUMN {name}")
        connection.exec_driver_sql("UPDATE videopath_revision SET version_num = '0003'")
    if not isinstance(library.store, SqliteStore):
        from videopath.agent.cases.storage.postgres import close_connections

        close_connections()
        library = load_case_library()
    worklist = Worklist(library)
    for _ in range(2):
        assert len(ids(worklist, words="mp4")) == 42
        assert audit_events(library, "case-001") == []
    assign(library, ["case-001"], "Dr A", "Dr A")
    assert ids(worklist, assigned="Dr A") == ["case-001"]


def test_only_diagnosed_cases_with_the_runs_of_a_video_first(library: CaseLibrary) -> None:
    whole = [entry for entry in library.list() if entry.diagnosis]
    assert 0 < len(whole) < 42
    first = sorted(whole, key=lambda entry: entry.video != "/videos/1_%.mp4")
    wanted = [entry.case_id for entry in first]
    assert ids(Worklist(library), diagnosed=True, video="/videos/1_%.mp4") == wanted
    assert ids(Worklist(library), diagnosed=True) == [entry.case_id for entry in whole]


def test_an_empty_library_has_no_page(own_home: Path) -> None:
    worklist = Worklist(load_case_library())
    assert (worklist.page(Sifting(), 50), worklist.count(Sifting()), worklist.counts(), worklist.sites()) == (
        [],
        0,
        {},
        [],
    )
    assert not own_home.exists()
