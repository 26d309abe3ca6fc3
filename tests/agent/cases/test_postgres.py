"""The case library on a real PostgreSQL server: the same behaviour, one worker for a case, one signature."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from fixtures.postgres import PASSWORD
from typer.testing import CliRunner

from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.storage.postgres import close_connections
from videopath.agent.cases.storage.store import LostCaseError
from videopath.app.cli.installation import _case_library
from videopath.app.cli.main import app
from videopath.core.errors import CaseError, InputError
from videopath.core.settings import load_settings

HOLDER = """
import sys, time
from videopath.agent.cases.library import load_case_library
with load_case_library().working(sys.argv[1]):
    print("here", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def library(own_home: Path, postgres: str) -> CaseLibrary:
    return load_case_library()


@contextmanager
def another_process(case_id: str) -> Iterator[subprocess.Popen[str]]:
    """A process that works on the case until it is killed."""
    command = [sys.executable, "-c", HOLDER, case_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        try:
            yield process
        finally:
            process.kill()


def answers(address: str, statement: str) -> list[int]:
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return [row[0] for row in cursor] if cursor.description else []


def cut_off(address: str) -> None:
    """End the connections that hold locks, as when the network is cut."""
    ended = "SELECT pg_terminate_backend(pid)::int FROM pg_locks WHERE locktype = 'advisory'"
    assert answers(address, ended) == [1]


def test_an_empty_database_is_an_empty_library_and_reading_creates_nothing(
    library: CaseLibrary, own_home: Path, postgres: str
) -> None:
    assert library.list() == library.list(limit=5) == []
    assert library.count() == 0
    with pytest.raises(CaseError, match="no case nothing-here"):
        library.get("nothing-here")
    assert not own_home.exists()
    tables = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema()"
    assert answers(postgres, tables) == []


def test_a_case_lives_in_the_database_and_its_files_in_the_folder(
    library: CaseLibrary, cases: SimpleNamespace, own_home: Path
) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    with pytest.raises(CaseError, match="already"):
        library.start("case-1", "a.mp4", None, "nano")
    created = library.entry("case-1").created
    report = cases.report("case-1", diagnosis="colon\0 adenocarcinoma")
    folder = library.save(report)
    entry = load_case_library().entry("case-1")
    assert (entry.status, entry.diagnosis, entry.created) == (
        "done",
        "colon\N{REPLACEMENT CHARACTER} adenocarcinoma",
        created,
    )
    assert entry.confidence == 0.8
    assert library.get("case-1") == report
    assert library.sign("case-1", "Dr. A", "agreed", diagnosis="polyp").status == "signed"
    with pytest.raises(CaseError, match=r"signed by Dr\. A.*comment: mine"):
        library.sign("case-1", "Dr. B", "mine")
    library.add_addendum("case-1", "Dr. B", "Seen again.")
    library.delete("case-1")
    assert library.list() == []
    assert not folder.exists()
    assert not list(own_home.glob("*.sqlite*"))


def test_a_case_at_work_is_seen_by_all_and_taken_over_after_a_kill(
    library: CaseLibrary, postgres: str
) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    with another_process("case-1") as process:
        assert library.entry("case-1").state == "running"
        assert [entry.at_work for entry in library.list()] == [True]
        for use in (library.take, library.delete):
            with pytest.raises(CaseError, match="works on case"):
                use("case-1")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with library.working("case-1", wait=10):
        assert library.entry("case-1").state == "running"
        with pytest.raises(CaseError, match="works on case"):  # neither may another thread
            load_case_library().take("case-1")
    assert library.entry("case-1").state == "interrupted"


def test_who_lost_the_connection_writes_nothing_more(
    library: CaseLibrary, cases: SimpleNamespace, postgres: str
) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    lock = library.take("case-1")
    library.refuse_lost("case-1")
    cut_off(postgres)
    for write in (lambda: library.save(cases.report()), lambda: library.set_status("case-1", "failed")):
        with pytest.raises(LostCaseError, match="may have taken it over"):
            write()
    assert library.entry("case-1").state == "interrupted"
    with pytest.raises(CaseError, match="works on case"):  # its thread has not ended yet
        library.take("case-1")
    lock.release()
    with library.working("case-1"):
        library.save(cases.report())
    assert library.entry("case-1").status == "done"


def test_of_two_who_hold_a_case_one_signs(
    library: CaseLibrary, cases: SimpleNamespace, postgres: str
) -> None:
    """The row decides also if a lock is lost between the check and the signature."""
    from videopath.agent.cases.signatures.signing import Signature, apply_signature

    library.save(cases.report())
    mine = library.get("case-1")
    apply_signature(Signature("Dr. A"), mine, "2026-01-31T14:25:01.000Z")
    library.sign("case-1", "Dr. B")
    with pytest.raises(CaseError, match=r"signed by Dr\. B"):
        library._save_signed(mine, Signature("Dr. A"))
    assert library.get("case-1").review[-1].reviewer == "Dr. B"


def test_a_forked_process_does_not_use_the_connections_of_its_parent(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    library.start("case-2", "a.mp4", "colon", "nano")
    with library.working("case-1"):
        child = os.fork()
        if child == 0:
            try:
                with pytest.raises(CaseError, match="works on case"):
                    library.take("case-1")
                with library.working("case-2"):
                    library.save(cases.report("case-2"))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        library.refuse_lost("case-1")
        assert [entry.state for entry in library.list()] == ["done", "running"]


def test_two_libraries_in_one_database_do_not_disturb_each_other(
    library: CaseLibrary, postgres_server: str, tmp_path: Path
) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    answers(postgres_server, "CREATE SCHEMA other")
    other = CaseLibrary(tmp_path / "other", f"{postgres_server}?options=-csearch_path%3Dother")
    other.start("case-1", "b.mp4", "lung", "nano")
    with library.working("case-1"), other.working("case-1"):
        assert other.entry("case-1").site == "lung"
    answers(postgres_server, "DROP SCHEMA other CASCADE")


def test_a_newer_library_is_refused_in_one_sentence(library: CaseLibrary, postgres: str) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    answers(postgres, "UPDATE videopath_revision SET version_num = '9999'")
    close_connections()  # a process asks once
    with pytest.raises(
        CaseError, match=r"newer version of VideoPath wrote to the case library in postgresql://lab@127"
    ):
        load_case_library().list()


@pytest.mark.parametrize("change", ["wrong password", "no server", "no database"])
def test_what_cannot_be_reached_is_said_without_the_password(
    own_home: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    quoted = "s3cret%2Fw0rd%407"
    assert quoted in postgres
    port = postgres.rpartition(":")[2].partition("/")[0]
    address = {
        "wrong password": postgres.replace(quoted, quoted + "x"),
        "no server": postgres.replace(port, "1"),
        "no database": postgres.replace("/postgres?", "/s3cret-none?"),
    }[change]
    monkeypatch.setenv("VIDEOPATH_DATABASE", address)
    (check,) = _case_library()
    assert not check.ok
    result = CliRunner().invoke(app, ["cases", "list"])
    assert result.exit_code == 1
    for said in (check.found, result.output):
        assert "The database postgresql://lab@127.0.0.1:" in said
    shown = repr(load_settings()), str(vars(load_case_library())), str(result.exception)
    for said in (check.found, result.output, *shown):
        assert PASSWORD not in said
        assert quoted not in said


@pytest.mark.parametrize(
    "address",
    [
        "mysql://u:hidden@h/d",
        "postgresql://u:hid@den@h/d",
        "postgresql://u:hid/den@h/d",
        "postgresql://u@h:port/d",
        "hidden",
    ],
)
def test_an_address_that_cannot_be_used_is_not_repeated(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("VIDEOPATH_DATABASE", address)
    with pytest.raises(InputError, match=r"'database' is not usable.*Correct VIDEOPATH_DATABASE") as told:
        load_case_library()
    with pytest.raises(InputError, match="address of the database") as said:
        CaseLibrary(own_home, address)
    for word in ("hid", "den", "h:port"):
        assert word not in str(told.value) + str(said.value)


def test_another_home_folder_has_its_own_files(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    assert load_case_library(tmp_path / "replay").list() == []
    monkeypatch.setenv("VIDEOPATH_DATABASE", "")
    assert load_case_library().list() == []
