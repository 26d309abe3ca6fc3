"""Who works on a case is read from its lock, by everybody in the same way, and asking writes nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.lock import LOCK_NAME, is_held
from videopath.agent.cases.trace import append_step
from videopath.agent.cases.unfinished import report_so_far
from videopath.app.cli.main import app
from videopath.app.web.components.shared.status import status_of
from videopath.core.errors import CaseError


@pytest.fixture
def library(own_home: Path) -> CaseLibrary:
    return load_case_library()


@contextmanager
def another_process(library: CaseLibrary, case_id: str) -> Iterator[int]:
    """A process that works on the case until the block ends, or until it is killed."""
    begun, done = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            with library.working(case_id):
                os.write(done, b"x")
                signal.pause()
        finally:
            os._exit(1)
    os.close(done)
    assert os.read(begun, 1) == b"x"
    os.close(begun)
    try:
        yield process
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def files_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def command(*words: str) -> str:
    result = CliRunner().invoke(app, ["cases", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_everybody_says_the_same_of_a_case_at_work_and_of_one_that_was_left(library: CaseLibrary) -> None:
    library.start("case-1", "a.mp4", "colon", "nano")
    with another_process(library, "case-1"):
        assert library.entry("case-1").state == "running"
        assert [entry.case_id for entry in library.list(status="running")] == ["case-1"]
        assert library.list(status="interrupted") == []
        (told,) = json.loads(command("list", "--json", "--status", "running"))
        assert (told["state"], told["at_work"]) == ("running", True)
        assert status_of(library.entry("case-1"), {}) == "running"
        result = CliRunner().invoke(app, ["cases", "resume", "case-1"])
        assert result.exit_code != 0  # somebody works on it
    assert library.entry("case-1").state == "interrupted"
    assert [entry.case_id for entry in library.list(status="interrupted")] == ["case-1"]
    assert "interrupted" in command("list")
    assert json.loads(command("list", "--json", "--status", "running")) == []
    assert status_of(library.entry("case-1"), {}) == "interrupted"


@pytest.mark.parametrize("status", ["waiting for review", "failed"])
def test_an_unfinished_case_that_somebody_took_up_again_is_at_work_for_all(
    library: CaseLibrary, cases: SimpleNamespace, status: str
) -> None:
    library.save(cases.report("case-1", status=status))
    with another_process(library, "case-1"):
        assert library.entry("case-1").state == "running"
        assert status_of(library.entry("case-1"), {}) == "running"
        result = CliRunner().invoke(app, ["cases", "resume", "case-1"])
        assert result.exit_code == 1
        assert "works on case case-1" in result.output
    assert library.entry("case-1").state == status


def test_asking_who_works_makes_no_lock_and_writes_nothing(library: CaseLibrary) -> None:
    folder = library.start("case-1", "a.mp4", "colon", "nano")
    before = files_of(library.home)
    assert not is_held(folder)
    assert library.entry("case-1").state == "interrupted"
    command("list")
    command("show", "case-1")
    assert files_of(library.home) == before
    with library.working("case-1"):
        before = files_of(library.home)
        assert library.list()[0].state == "running"
        assert files_of(library.home) == before
    assert (folder / LOCK_NAME).exists()
    assert not is_held(folder)


def test_asking_does_not_keep_anybody_from_working(library: CaseLibrary) -> None:
    folder = library.start("case-1", "a.mp4", "colon", "nano")
    with library.working("case-1"):
        pass
    process = os.fork()
    if process == 0:
        while True:
            is_held(folder)
    try:
        for _ in range(100):
            with library.working("case-1"):
                pass
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


@pytest.mark.parametrize("status", ["running", "failed"])
def test_an_unfinished_case_shows_its_finished_steps(
    library: CaseLibrary, cases: SimpleNamespace, status: str
) -> None:
    folder = library.start("case-1", "a.mp4", "colon", "nano")
    assert "none" in _shown("case-1")
    append_step(folder / "trace.jsonl", cases.step("intake"))
    append_step(folder / "trace.jsonl", cases.step("describe"))
    if status == "failed":
        library.set_status("case-1", "failed", "The disk is full.")
    shown = _shown("case-1")
    assert "describe is done" in shown
    assert ("The case failed: The disk is full." in shown) == (status == "failed")
    assert ("Case case-1: interrupted" in shown) == (status == "running")
    told = json.loads(_shown("case-1", "--json"))
    assert [step["name"] for step in told["steps"]] == ["intake", "describe"]
    assert told["diagnosis"] == ""
    assert "describe is done" in _shown("case-1", "--markdown")
    assert report_so_far(library, "case-1").status == status
    with pytest.raises(CaseError, match="no case case-2"):
        report_so_far(library, "case-2")


def _shown(*words: str) -> str:
    return command("show", *words)


def test_a_case_is_held_until_nothing_of_it_is_left(
    library: CaseLibrary, cases: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = library.save(cases.report("case-1"))
    seen: list[tuple[bool, list[str]]] = []
    connect = CaseLibrary._connect

    def looking(self: CaseLibrary) -> object:
        seen.append((is_held(folder), [part.name for part in folder.iterdir()]))
        return connect(self)

    monkeypatch.setattr(CaseLibrary, "_connect", looking)
    library.delete("case-1")
    assert seen == [(True, [LOCK_NAME])]
    assert library.list() == []
    with pytest.raises(CaseError, match="folder of case case-1 is gone"):
        library.take("case-1")
    assert not folder.exists()


def test_a_deletion_that_was_killed_can_be_repeated(
    library: CaseLibrary, cases: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases.write_evidence(library.save(cases.report("case-1")), cases.report("case-1"))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for point in ("shutil.rmtree", "CaseLibrary._connect"):
        with monkeypatch.context() as patch:
            patch.setattr(f"videopath.agent.cases.library.{point}", killed)
            with pytest.raises(KeyboardInterrupt):
                library.delete("case-1")
        assert [entry.case_id for entry in library.list()] == ["case-1"]
    library.delete("case-1")
    assert library.list() == []
    assert not any((library.home / "cases").iterdir())
