"""A case is for its owner alone on disk, and what is handed on names no folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent import DiagnosticAgent, load_case_library


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that lets everybody read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def _open_to_others(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.stat().st_mode & 0o077]


def test_a_case_is_its_owners_alone_and_its_exports_are_as_the_umask_says(
    open_umask: None, own_home: Path, tmp_path: Path, small_case: Path, nano_engine
) -> None:
    with DiagnosticAgent.load(nano_engine) as agent:
        case_id = agent.diagnose(small_case, site="colon").case_id
        while_open = _open_to_others(own_home)
        agent.library.sign(case_id, "Dr. A", diagnosis="colon adenocarcinoma")
    names = {path.name for path in own_home.rglob("*")}
    assert {"calls.jsonl", "trace.jsonl", "report.json", "cases.sqlite", "checkpoints.sqlite"} <= names
    assert own_home.stat().st_mode & 0o777 == 0o700
    assert while_open == _open_to_others(own_home) == []
    for form in ("zip", "pdf", "md", "json"):
        exported = load_case_library().export(case_id, tmp_path / f"handed-on.{form}", form)
        assert exported.stat().st_mode & 0o777 == 0o644


def test_a_library_of_an_earlier_version_is_closed_when_it_is_written_to(
    open_umask: None, own_home: Path, cases: SimpleNamespace
) -> None:
    load_case_library().save(cases.report())
    (own_home / "cache").mkdir()
    (own_home / "cache" / "copy.mp4").touch()
    for path in own_home.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    load_case_library().get("case-1")
    assert _open_to_others(own_home)  # reading changes nothing
    load_case_library().save(cases.report("case-2"))
    assert _open_to_others(own_home) == []
