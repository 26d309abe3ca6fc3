"""Pages of a long worklist, and the revisions of its table, on both databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.storage.migrating import REVISIONS, SCRIPTS
from videopath.agent.cases.storage.tables import cases as table
from videopath.core.errors import CaseError

_OLD = """
CREATE TABLE cases (
    case_id TEXT PRIMARY KEY, status TEXT NOT NULL, video TEXT NOT NULL, site TEXT, diagnosis TEXT NOT NULL,
    confidence REAL, model TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    signed_by TEXT, signed_at TEXT, comment TEXT
)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def library(request: pytest.FixtureRequest, own_home: Path) -> CaseLibrary:
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    return load_case_library()


@pytest.fixture
def old_library(own_home: Path) -> CaseLibrary:
    """A library from before the revisions."""
    own_home.mkdir()
    with closing(sqlite3.connect(own_home / "cases.sqlite")) as database, database:
        database.execute(_OLD)
        database.execute(
            "INSERT INTO cases VALUES ('old', 'done', 'a.mp4', 'colon', 'polyp', 0.5, 'nano', '2026', '2026', NULL, NULL, NULL)"
        )
    return load_case_library()


def test_pages_hold_what_the_whole_list_holds(library: CaseLibrary, cases: SimpleNamespace) -> None:
    statuses = ["done", "failed", "done", "waiting for review", "signed", "failed", "done"]
    for number, status in enumerate(statuses):
        site = "colon" if number % 2 else "lung"
        library.save(
            cases.report(f"case-{number}", status=status, site=site, created=f"2026-01-0{number + 1}")
        )
    for number in range(3):
        library.start(f"open-{number}", "a.mp4", "colon", "nano")
    with library.working("open-1"), library.working("case-1"):
        for status in (None, "done", "failed", "running", "interrupted", "waiting for review", "rejected"):
            for site in (None, "colon"):
                whole = library.list(status, site)
                pages = [
                    one
                    for start in range(0, 12, 2)
                    for one in library.list(status, site, limit=2, offset=start)
                ]
                assert pages == whole
                assert library.count(status, site) == len(whole)
        assert [entry.case_id for entry in library.list("running", limit=9)] == ["open-1", "case-1"]
        assert [entry.case_id for entry in library.list("failed", limit=9)] == ["case-5"]
    assert library.list(offset=8) == library.list()[8:]


def test_the_migrations_end_in_this_versions_table(library: CaseLibrary) -> None:
    library.start("case-1", "a.mp4", None, "nano")
    with library.store.reading() as connection:
        assert connection is not None
        inspector = inspect(connection)
        columns = {one["name"]: one["nullable"] for one in inspector.get_columns("cases")}
        indexes = {one["name"]: one["column_names"] for one in inspector.get_indexes("cases")}
    assert columns == {column.name: column.nullable for column in table.columns}
    assert indexes == {str(index.name): [one.name for one in index.columns] for index in table.indexes}
    assert library.store.summary().endswith(f"revision {REVISIONS[-1]}")


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in scripts) == REVISIONS[::-1]


def test_a_library_from_before_the_revisions_is_read_as_it_is_and_lifted_by_the_first_write(
    old_library: CaseLibrary,
) -> None:
    before = old_library.database.read_bytes()
    assert [entry.diagnosis for entry in old_library.list(limit=5)] == ["polyp"]
    assert "the next case lifts it" in old_library.store.summary()
    assert old_library.database.read_bytes() == before
    old_library.start("new", "b.mp4", "lung", "nano")
    assert {entry.case_id for entry in old_library.list()} == {"old", "new"}
    assert old_library.store.summary().endswith(f"revision {REVISIONS[-1]}")


def test_a_kill_during_the_migration_leaves_the_old_table(
    old_library: CaseLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath.agent.cases.storage import sqlite

    migrate = sqlite.migrate

    def killed(connection: object) -> None:
        migrate(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "migrate", killed)
        with pytest.raises(KeyboardInterrupt):
            old_library.start("new", "b.mp4", "lung", "nano")
    with closing(sqlite3.connect(old_library.database)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")}
    assert names == {"cases"}
    old_library.start("new", "b.mp4", "lung", "nano")
    assert len(old_library.list()) == 2


def test_a_newer_library_is_refused_in_one_sentence(old_library: CaseLibrary) -> None:
    old_library.start("new", "b.mp4", "lung", "nano")
    with closing(sqlite3.connect(old_library.database)) as database, database:
        database.execute("UPDATE videopath_revision SET version_num = '9999'")
    for use in (
        old_library.list,
        old_library.count,
        lambda: old_library.start("more", "b.mp4", None, "nano"),
    ):
        with pytest.raises(
            CaseError, match=r"newer version of VideoPath wrote .* \(revision 9999; this version knows"
        ):
            use()
