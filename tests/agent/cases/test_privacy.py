"""A case is for its owner alone on disk, and what is handed on names no folder of this machine."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pypdf import PdfReader

from videopath.agent import DiagnosticAgent, load_case_library
from videopath.agent.cases.bundle import read_bundle
from videopath.agent.replay import replay
from videopath.core.errors import InputError


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
    for form in ("zip", "pdf", "html", "md", "json"):
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


def _names_no_folder(text: str, *folders: Path) -> None:
    for folder in (*folders, Path.home()):
        assert str(folder) not in text


def test_what_is_handed_on_has_names_and_hashes_and_no_paths(
    own_home: Path, tmp_path: Path, small_case: Path, small_checkpoint: Path
) -> None:
    video = tmp_path / "miss-jones" / "slide 7.mp4"
    video.parent.mkdir()
    video.write_bytes(small_case.read_bytes())
    with DiagnosticAgent.load(small_checkpoint) as agent:
        report = agent.diagnose(video, site="colon", exclude=[str(video.parent / "other.mp4")])
        case_id, library = report.case_id, agent.library
    places = (tmp_path, small_checkpoint.parent)
    bundle = library.export(case_id, tmp_path / "case.zip")
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            _names_no_folder(archive.read(name).decode("latin-1"), *places)
    read = read_bundle(bundle)
    assert read.problems == []
    assert read.report.video is not None
    assert (read.report.video.path, read.report.video.sha256) == ("slide 7.mp4", report.video.sha256)
    assert read.report.provenance["source"] == read.report.settings.model == small_checkpoint.name
    for form in ("md", "json"):
        text = library.export(case_id, tmp_path / f"case.{form}", form).read_text()
        _names_no_folder(text, *places)
        assert "slide 7.mp4" in text
    pages = "".join(page.extract_text() for page in PdfReader(io.BytesIO(report.to_pdf())).pages)
    _names_no_folder(pages.replace("\n", ""), *places)
    _names_no_folder(report.to_markdown(), *places)
    asked = read_bundle(library.export(case_id, tmp_path / "whole.zip", with_paths=True))
    assert asked.problems == []
    assert asked.report.video == report.video
    with pytest.raises(InputError, match="--model"):  # the replay takes no model that a bundle names
        replay(bundle, video)
    assert replay(bundle, video, model=small_checkpoint).same


def test_sentences_lose_the_folders_and_keep_the_rest(cases: SimpleNamespace, tmp_path: Path) -> None:
    report = cases.report(rationale=f"H/E 1/2, see {tmp_path}/a.mp4 and /hpf.", description="and/or")
    report.video.path = f"{tmp_path}/a.mp4"
    shared = report.without_paths()
    assert shared.rationale == "H/E 1/2, see a.mp4 and /hpf."
    assert (shared.description, shared.video.path) == ("and/or", "a.mp4")
    assert shared.without_paths() == shared


@pytest.mark.parametrize("folder", ["/data/miss jones/model", "D:\\miss jones\\model"])
def test_the_folder_of_a_foreign_encoder_is_not_told(cases: SimpleNamespace, folder: str) -> None:
    """It stands nowhere else in the report: the knowledge base names it."""
    told = "Pictures were not compared: those of the knowledge base were encoded by tower:{} (0123456789ab…), which is not"
    report = cases.report(
        retrieval_notes=[told.format(folder)], provenance={"image_encoder": f"tower:{folder}"}
    )
    shared = report.without_paths()
    assert shared.retrieval_notes == [told.format("model")]
    assert shared.provenance["image_encoder"] == "tower:model"
    assert shared.without_paths() == shared
