"""Reading needs no writing: a case library is read on a read-only disk, as another user, and on a full disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import traceback
from collections.abc import Callable
from contextlib import closing
from ctypes import CDLL
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from videopath.agent import DiagnosticAgent
from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.trace import read_trace
from videopath.agent.replay import settings_of
from videopath.core.choices import EXPORT_FORMATS
from videopath.core.errors import CaseError, InputError
from videopath.knowledge import STARTER_FOLDER, KnowledgeBase, Query
from videopath.knowledge.storage.versions import verify_folder
from videopath.tools.journal import Journal

NOBODY = 65534
_NEW_MOUNTS = 0x00020000  # of Linux's unshare
root_alone = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")


@pytest.fixture
def home(tmp_path: Path, cases: SimpleNamespace) -> Path:
    """A home with one finished case."""
    library = load_case_library(tmp_path / "written")
    report = cases.report("case-1")
    folder = library.save(report)
    cases.write_evidence(folder, report)
    settings = report.settings.model_dump_json()
    (folder / "inputs.json").write_text(f'{{"video": "a.mp4", "settings": {settings}}}')
    Journal(folder / "calls.jsonl").add({"call": 1}, "Glands.")
    return library.home


def clean(home: Path) -> None:
    """As every process leaves it."""


def killed(home: Path) -> None:
    """As a killed writer leaves it: a case is in the write-ahead log alone."""
    _enter_in_log(home, "-wal", "-shm")


def copied(home: Path) -> None:
    """As a backup has it: the write-ahead log without the file of locks beside it."""
    _enter_in_log(home, "-wal")


def _enter_in_log(home: Path, *kept: str) -> None:
    database = home / "cases.sqlite"
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        with writer:
            writer.execute("UPDATE cases SET site = 'lung'")
        for ending in kept:
            shutil.copyfile(f"{database}{ending}", f"{database}{ending}.copy")
        copy = shutil.copyfile(database, home / "copy")
    for ending in ("-wal", "-shm"):
        Path(f"{database}{ending}").unlink(missing_ok=True)
    copy.replace(database)
    for ending in kept:
        Path(f"{database}{ending}.copy").replace(f"{database}{ending}")


def look(home: Path, out: Path, site: str) -> None:
    """Everything that reads a library."""
    library = load_case_library(home)
    (entry,) = library.list()
    assert (entry.case_id, entry.status, entry.site) == ("case-1", "done", site)
    assert library.entry("case-1") == entry
    assert library.get("case-1").diagnosis == "colon adenocarcinoma"
    assert len(read_trace(library.folder("case-1") / "trace.jsonl")) == 2
    assert settings_of(library, "case-1").model == "nano"
    assert Journal(library.folder("case-1") / "calls.jsonl").find({"call": 1}) == "Glands."
    for form in EXPORT_FORMATS:
        library.export("case-1", out / f"case.{form}", form)
    assert read_bundle(out / "case.zip").problems == []


def listing(home: Path) -> dict[str, bytes]:
    """What lies in a home, but for what SQLite's connections tell each other."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


STATES = [(clean, "colon"), (killed, "lung"), (copied, "lung")]
states = pytest.mark.parametrize(("state", "site"), STATES, ids=["clean", "killed", "copied"])


@root_alone
@states
def test_a_library_on_a_read_only_disk_is_read(
    home: Path, tmp_path: Path, state: Callable[[Path], None], site: str
) -> None:
    state(home)
    before = listing(home)

    def work() -> None:
        mount("--bind", home, home)
        mount("-o", "remount,ro,bind", home)
        look(home, tmp_path / "out", site)
        with pytest.raises(CaseError, match="cannot be used"):
            load_case_library(home).set_status("case-1", "failed")

    assert_works(work)
    assert listing(home) == before


@root_alone
@states
def test_a_library_on_a_full_disk_is_read(
    home: Path, tmp_path: Path, state: Callable[[Path], None], site: str
) -> None:
    state(home)
    disk = tmp_path / "disk"
    disk.mkdir()

    def work() -> None:
        mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
        shutil.copytree(home, disk / "home")
        with (disk / "filler").open("wb") as filler, pytest.raises(OSError, match="No space"):  # noqa: PT012
            while True:
                os.write(filler.fileno(), bytes(4096))
        look(disk / "home", tmp_path / "out", site)

    assert_works(work)


@root_alone
@states
def test_another_user_reads_a_library(
    home: Path, tmp_path: Path, state: Callable[[Path], None], site: str
) -> None:
    state(home)
    out = tmp_path / "out"
    look(Path(shutil.copytree(home, tmp_path / "copy")), out, site)  # what is imported late is there now
    shutil.chown(out, NOBODY)
    for path in (home, *home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and "pytest" in str(folder):
            folder.chmod(0o755)
    before = listing(home)

    def work() -> None:
        os.setuid(NOBODY)
        look(home, out, site)

    assert_works(work)
    assert listing(home) == before


@root_alone
def test_a_knowledge_base_on_a_read_only_disk_is_opened(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(STARTER_FOLDER, tmp_path / "base"))

    def work() -> None:
        mount("--bind", folder, folder)
        mount("-o", "remount,ro,bind", folder)
        base = KnowledgeBase.open(folder)
        assert len(list(base)) == len(base)
        assert base.find(Query(image=np.ones((1, 192), np.float32)), 3).hits or not base.image_encoder
        assert verify_folder(folder) == []

    assert_works(work)


def assert_works(work: Callable[[], None]) -> None:
    """Do it in a process of its own, whose mounts nobody else sees and which may become another user."""
    here, there = os.pipe()
    process = os.fork()
    if not process:
        said = "SKIP"
        try:
            if CDLL(None).unshare(_NEW_MOUNTS) == 0:
                mount("--make-rprivate", "/")
                work()
                said = ""
        except BaseException:  # noqa: BLE001 - the test tells it
            said = traceback.format_exc()[-4000:]
        os.write(there, said.encode())
        os._exit(0)
    os.close(there)
    os.waitpid(process, 0)
    with os.fdopen(here) as answer:
        said = answer.read()
    if said == "SKIP":
        pytest.skip("nothing can be mounted here")
    assert said == ""


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def test_a_cell_that_is_not_utf8_does_not_hide_the_other_cases(home: Path, cases: SimpleNamespace) -> None:
    library = load_case_library(home)
    library.save(cases.report("case-2"))
    with closing(sqlite3.connect(library.database)) as database, database:
        database.execute("UPDATE cases SET comment = CAST(X'FF' AS TEXT) WHERE case_id = 'case-1'")
    assert {entry.case_id for entry in library.list()} == {"case-1", "case-2"}


def test_reading_a_library_leaves_no_file(home: Path) -> None:
    before = sorted(home.rglob("*"))
    load_case_library(home).list()
    assert sorted(home.rglob("*")) == before


def test_a_case_with_a_damaged_line_of_its_trace_is_exported_whole(home: Path, tmp_path: Path) -> None:
    library = load_case_library(home)
    trace = library.folder("case-1") / "trace.jsonl"
    trace.write_bytes(b'{"name": 3}\n' + trace.read_bytes())
    bundle = read_bundle(library.export("case-1", tmp_path / "case.zip"))
    assert bundle.problems == []
    assert [step.name for step in bundle.steps] == ["intake", "describe"]


@pytest.mark.parametrize("name", ["report.json", "trace.jsonl", "calls.jsonl", "inputs.json"])
def test_a_folder_in_the_place_of_a_file_is_told(home: Path, name: str) -> None:
    library = load_case_library(home)
    path = library.folder("case-1") / name
    path.unlink()
    path.mkdir()
    readings: dict[str, Callable[[], object]] = {
        "report.json": lambda: library.get("case-1"),
        "trace.jsonl": lambda: read_trace(path),
        "calls.jsonl": lambda: Journal(path),
        "inputs.json": lambda: settings_of(library, "case-1"),
    }
    with pytest.raises(ValueError, match=name):  # InputError and CaseError are both
        readings[name]()
    assert [entry.case_id for entry in library.list()] == ["case-1"]


@pytest.mark.parametrize("part", ["model", "base", "knowledge", "device"])
def test_a_part_whose_name_is_not_utf8_is_refused(own_home: Path, part: str) -> None:
    with pytest.raises(InputError, match="not valid UTF-8"):
        DiagnosticAgent.load(**{"model": "nano", part: "a\udcff"})
