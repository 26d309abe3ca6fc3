"""The bundle holds everything, is reproducible and notices every change."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent.cases.bundle import read_bundle, save_bundle
from videopath.agent.cases.records import CaseReport
from videopath.core.errors import InputError


@pytest.fixture
def finished(tmp_path: Path, cases: SimpleNamespace) -> CaseReport:
    report = cases.report(folder=tmp_path / "case")
    cases.write_evidence(tmp_path / "case", report)
    return report


def _rewrite(path: Path, changes: dict[str, bytes | None]) -> None:
    """Change, add or (None) drop members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {name: data for name, data in changes.items() if data is not None}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if changes.get(name, data) is not None:
                archive.writestr(name, data)


def test_a_bundle_holds_all_and_hashes_all(finished: CaseReport, tmp_path: Path) -> None:
    path = finished.save_bundle(str(tmp_path / "out" / "case.zip"))
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))
        assert names == {"report.json", "report.md", "trace.jsonl", "frames/0001612.png", "manifest.json"}
        assert set(manifest["files"]) == names - {"manifest.json"}
        for name, digest in manifest["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    bundle = read_bundle(path)
    assert bundle.problems == []
    assert bundle.report == finished.model_copy(update={"folder": None})
    assert bundle.steps == finished.steps


def test_a_trace_with_other_steps_than_the_report_is_a_problem(finished: CaseReport, tmp_path: Path) -> None:
    trace = finished.folder / "trace.jsonl"
    trace.write_text(trace.read_text().replace("is done", "was done"))
    assert any(
        "different steps" in problem
        for problem in read_bundle(finished.save_bundle(tmp_path / "a.zip")).problems
    )


def test_the_same_case_gives_the_same_bytes(finished: CaseReport, tmp_path: Path) -> None:
    first = save_bundle(finished, tmp_path / "a.zip").read_bytes()
    assert save_bundle(finished, tmp_path / "b.zip").read_bytes() == first


def test_a_report_without_a_folder_has_its_steps_as_trace(tmp_path: Path, cases: SimpleNamespace) -> None:
    bundle = read_bundle(cases.report().save_bundle(tmp_path / "case.zip"))
    assert [step.name for step in bundle.steps] == ["intake", "describe"]


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("report.md", b"other", "changed"),
        ("frames/0001612.png", b"other", "changed"),
        ("frames/0001612.png", None, "not in the bundle"),
        ("frames/extra.png", b"more", "not in the manifest"),
    ],
)
def test_every_change_is_told(
    finished: CaseReport, tmp_path: Path, name: str, data: bytes | None, word: str
) -> None:
    path = finished.save_bundle(tmp_path / "case.zip")
    _rewrite(path, {name: data})
    problems = read_bundle(path).problems
    assert len(problems) == 1
    assert name in problems[0]
    assert word in problems[0]


def test_what_is_no_bundle_is_refused_in_one_sentence(finished: CaseReport, tmp_path: Path) -> None:
    empty, text, foreign = tmp_path / "empty.zip", tmp_path / "text.zip", tmp_path / "foreign.zip"
    empty.write_bytes(b"")
    text.write_text("not a zip")
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("a.txt", "a")
    torn = finished.save_bundle(tmp_path / "torn.zip")
    torn.write_bytes(torn.read_bytes()[:-100])
    unsafe = finished.save_bundle(tmp_path / "unsafe.zip")
    _rewrite(unsafe, {"../evil.txt": b"x"})
    headless = finished.save_bundle(tmp_path / "headless.zip")
    _rewrite(headless, {"report.json": None})
    for path in (tmp_path / "absent.zip", tmp_path, empty, text, foreign, torn, unsafe, headless):
        with pytest.raises(InputError) as caught:
            read_bundle(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", [b"PK\x01\x02", b"PK\x05\x06"])
def test_wrong_offsets_are_no_foreign_error(finished: CaseReport, tmp_path: Path, field: bytes) -> None:
    path = finished.save_bundle(tmp_path / "case.zip")
    data = path.read_bytes()
    place = data.rindex(field)
    for offset in range(4, 46 if field[2] == 1 else 22):  # every byte of the header, so every offset and size
        damaged = bytearray(data)
        damaged[place + offset] ^= 0xFF
        path.write_bytes(damaged)
        with suppress(InputError):  # a few bytes are not looked at, everything else is refused
            read_bundle(path)


@pytest.mark.parametrize("name", ["manifest.json", "report.json", "trace.jsonl"])
def test_a_member_that_is_nested_too_deeply_is_refused(
    finished: CaseReport, tmp_path: Path, name: str
) -> None:
    path = finished.save_bundle(tmp_path / "case.zip")
    _rewrite(path, {name: b"[" * 100_000 + b"\n"})
    with pytest.raises(InputError):
        read_bundle(path)


def test_a_name_that_stands_twice_is_told(finished: CaseReport, tmp_path: Path) -> None:
    path = finished.save_bundle(tmp_path / "case.zip")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("report.md", archive.read("report.md"))
    assert read_bundle(path).problems == ["report.md is 2 times in the bundle."]


def test_frames_are_copied_and_compared_piece_by_piece(finished: CaseReport, tmp_path: Path) -> None:
    assert finished.folder is not None
    with (finished.folder / "frames" / "large.png").open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        path = finished.save_bundle(tmp_path / "case.zip")
        assert read_bundle(path).problems == []
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_failed_write_leaves_the_old_bundle(finished: CaseReport, tmp_path: Path) -> None:
    path = finished.save_bundle(tmp_path / "case.zip")
    before = path.read_bytes()
    assert finished.folder is not None
    (finished.folder / "frames" / "broken.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        finished.save_bundle(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.glob(".*")] == []
