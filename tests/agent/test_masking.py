"""Burned-in writing of a case is filled before anything sees a frame, and a part of the frame can be chosen."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from videopath.agent import CaseReport, DiagnosticAgent, Policy, Step
from videopath.agent.cases.learning import record_of
from videopath.agent.cases.preview import preview
from videopath.agent.cases.records import RunSettings, VideoFacts
from videopath.agent.cases.request import CaseRequest
from videopath.agent.follow_up import reported_request
from videopath.agent.graph.closer_look import closer_request, tissue_window
from videopath.agent.graph.view import StateView
from videopath.app.cli.console import stdout
from videopath.app.cli.summary import summary
from videopath.core.errors import InputError
from videopath.media.clip import open_clip, open_moment
from videopath.media.crop import WHOLE, within
from videopath.media.writing.reader import read_lines
from videopath.tools.journal import Journal
from videopath.tools.schemas import ClipInput
from videopath.tools.session_pool import Recording, SessionPool

_SECRETS = (b"4839201", b"11.04.1962", b"MRN 48")


@pytest.fixture(scope="module")
def lecture(shared: Path) -> Path:
    """A lecture whose slide view from 17.5 to 30 s has a record number and a birth date straight on the tissue."""
    return shared / "data/videos/lectures/lecture_breast_colon.mp4"


@pytest.fixture(scope="module")
def case(nano_engine: Any, lecture: Path, tmp_path_factory: pytest.TempPathFactory) -> CaseReport:
    home = tmp_path_factory.mktemp("masked")
    with DiagnosticAgent.load(nano_engine, frames=2, policy=Policy(max_looks=0), home=home) as agent:
        return agent.diagnose(lecture, site="colon", start=18, end=30)


def intake_of(agent: DiagnosticAgent, video: Path, **asked: Any) -> Step:
    """The first step of a case; the case itself is not finished."""
    steps = agent.stream(video, **asked)
    first = next(steps)
    steps.close()
    return first


def words_in(picture: np.ndarray) -> str:
    return " ".join(line.text for line in read_lines(picture))


def printed(report: CaseReport) -> str:
    """What the terminal shows of a case, on one line."""
    console = stdout()
    with console.capture() as captured:
        console.print(summary(report))
    return " ".join(captured.get().split())


def files_of(case: CaseReport) -> Iterator[tuple[str, bytes]]:
    """Everything that the case left and that is handed on."""
    assert case.folder is not None
    home = case.folder.parent.parent
    yield from ((path.name, path.read_bytes()) for path in home.rglob("*") if path.is_file())
    with zipfile.ZipFile(case.save_bundle(home / "case.zip")) as bundle:
        yield from ((f"bundle: {name}", bundle.read(name)) for name in bundle.namelist())
    pdf = case.to_pdf()
    yield "pdf", pdf
    yield "html", case.to_html().encode()
    yield "text of the pdf", "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).encode()


@pytest.mark.slow
def test_the_number_is_nowhere(case: CaseReport, lecture: Path) -> None:
    assert case.folder is not None
    assert "4839201" in words_in(open_clip(lecture, 1, 20, 20.1).frames[0]), "it is there, and it can be read"
    for name, content in files_of(case):
        assert not any(secret in content for secret in _SECRETS), name
    frames = sorted((case.folder / "frames").glob("*.png"))
    assert frames
    for frame in frames:
        assert not any(character.isdigit() for character in words_in(np.asarray(Image.open(frame)))), (
            frame.name
        )
    assert words_in(open_moment(lecture, 20.0, None, "mask-all").frames[0]) == ""


@pytest.mark.slow
def test_the_trace_names_box_and_reason_and_the_writers_say_it(case: CaseReport) -> None:
    intake = case.steps[0].detail["burned_in_text"]
    assert intake["rule"] == "mask-all"
    (personal,) = [place for place in intake["writings"] if place["kind"] == "personal"]
    left, top, right, bottom = personal["box"]
    assert left < 230 / 1280 < 600 / 1280 < right
    assert top < 600 / 720 < 630 / 720 < bottom
    assert "record number" in personal["reason"]
    assert personal["filled"]
    assert personal["seconds"]
    assert "writing was filled in" in case.steps[0].summary
    assert case.burned_in == intake
    said = (case.to_markdown(), printed(case))
    assert all("were filled" in text and "record number" in text for text in said)


@pytest.mark.slow
def test_a_case_can_be_asked_again_as_it_was(case: CaseReport) -> None:
    assert reported_request(case).writing == "mask-all"
    again = CaseRequest.of(case, "again")
    assert (again.writing, again.crop) == ("mask-all", None)


@pytest.mark.slow
def test_a_preview_shows_filled_frames(lecture: Path) -> None:
    filled, kept = (
        preview(lecture, frames=2, start=18, end=30, writing=rule) for rule in ("mask-all", "keep")
    )
    assert {place.filled for place in filled.burned_in.writings} == {True}
    personal = next(place for place in kept.burned_in.writings if place.kind == "personal")
    height, width = kept.thumbnails.shape[1:3]
    left, top, right, bottom = (
        round(n * side) for n, side in zip(personal.box, (width, height) * 2, strict=True)
    )
    assert (filled.thumbnails != kept.thumbnails)[0, top:bottom, left:right].any(axis=2).mean() > 0.8


@pytest.mark.slow
def test_a_record_of_the_case_keeps_rule_and_crop(case: CaseReport) -> None:
    settings = case.settings.model_copy(update={"crop": (0.1, 0.0, 0.9, 1.0)})
    signed = case.model_copy(
        update={"status": "signed", "settings": settings, "diagnosis": "colon adenocarcinoma"}
    )
    (media,) = record_of(signed, description="Crowded glands.").media
    assert (media.start, media.end, media.crop, media.writing) == (
        18.0,
        30.0,
        (0.1, 0.0, 0.9, 1.0),
        "mask-all",
    )


@pytest.mark.slow
def test_writing_is_kept_if_a_person_says_so(nano_engine: Any, lecture: Path, tmp_path: Path) -> None:
    with DiagnosticAgent.load(nano_engine, frames=2, home=tmp_path, writing="mask-personal") as agent:
        step = intake_of(agent, lecture, start=19, end=26, writing="keep")
        clip = agent.sessions.clip(ClipInput.stored(step.detail["request"]))
    assert np.array_equal(clip.frames, open_clip(lecture, 2, 19, 26).frames)
    assert step.detail["request"]["writing"] == "keep"
    assert "WRITING WAS KEPT" in step.summary
    found = step.detail["burned_in_text"]
    assert found["rule"] == "keep"
    assert found["writings"]
    assert not any(place["filled"] for place in found["writings"])
    report = CaseReport(
        case_id="a", status="done", burned_in=found, settings=RunSettings(writing="keep"), steps=[step]
    )
    assert report.shows_writing
    assert "not masked, as asked" in printed(report)


@pytest.mark.slow
def test_only_what_may_name_a_person_is_filled_if_asked(
    nano_engine: Any, lecture: Path, tmp_path: Path
) -> None:
    with DiagnosticAgent.load(nano_engine, frames=2, home=tmp_path, writing="mask-personal") as agent:
        step = intake_of(agent, lecture, start=19, end=26)
    places = step.detail["burned_in_text"]["writings"]
    assert {place["kind"] for place in places} == {"personal", "label"}
    assert all(place["filled"] == (place["kind"] == "personal") for place in places)


@pytest.mark.slow
def test_a_part_of_the_frame_is_looked_at(nano_engine: Any, lecture: Path, tmp_path: Path) -> None:
    with DiagnosticAgent.load(nano_engine, frames=2, home=tmp_path) as agent:
        step = intake_of(agent, lecture, start=19, end=26, crop=(160, 60, 1120, 500))
        request = ClipInput.stored(step.detail["request"])
        assert agent.sessions.clip(request).frames.shape == (2, 440, 960, 3)
        view, facts = agent.sessions.clip(request), VideoFacts.model_validate(step.detail["facts"])
    closer = closer_request(facts, request, 20.0, view)
    assert closer.crop is not None
    assert within(request.crop or WHOLE, tissue_window(view.frames[0])) == closer.crop
    assert closer.writing == "mask-all"
    assert request.crop == pytest.approx((160 / 1280, 60 / 720, 1120 / 1280, 500 / 720))
    assert step.detail["burned_in_text"]["writings"] == [], "the number lies below the crop"


@pytest.mark.parametrize("crop", [(0, 0, 0.5), (0.5, 0, 0.2, 1), (0, 0, 1281, 720), (0, 0, float("nan"), 1)])
def test_a_crop_that_encloses_nothing_starts_no_case(lecture: Path, crop: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="crop"):
        CaseRequest(lecture, crop=crop).inputs(RunSettings())
    with pytest.raises(InputError, match="'all' for writing is not known; use one of: mask-all"):
        CaseRequest(lecture, writing="all").inputs(RunSettings())  # type: ignore[arg-type]


def test_cases_from_before_keep_their_writing(nano_engine: Any, small_case: Path, tmp_path: Path) -> None:
    before = {
        "video": str(small_case),
        "frames": 2,
        "start": None,
        "end": None,
        "crop": None,
        "sampling": "uniform",
    }
    view = StateView({"request": before, "settings": {"model": "nano"}})
    assert (view.request.writing, view.settings.writing) == ("keep", "keep")
    assert view.request_json == {**before, "writing": "keep"}
    report = CaseReport.from_json(
        json.dumps({"case_id": "a", "status": "done", "settings": {"model": "nano"}})
    )
    assert report.settings.writing == "keep"
    assert RunSettings().writing == ClipInput(video="a").writing == "mask-all"

    journal = Journal(tmp_path / "calls.jsonl")
    scope = {
        "weights": nano_engine.info.weights_sha256,
        "dtype": nano_engine.info.dtype,
        "video": "",
        "clip": before,
    }
    answer = {"seconds": [0.0, 1.0], "indices": [0, 8], "sha256": "of before", "notes": []}
    journal.add({**scope, "method": "frames", "arguments": {}}, answer)
    recording = Recording(SessionPool(nano_engine), journal)
    assert recording.open(view.request).frames().sha256 == "of before", "an answer of before is found again"
