"""A request holds all that a person asks of a case, and is checked when the case is entered."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from videopath.agent.cases.records import RunSettings
from videopath.agent.cases.request import MAX_QUESTION, CaseRequest
from videopath.core.errors import InputError
from videopath.media.masks import Masks, parse_masks


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "case.mp4"
    path.touch()
    return path


def test_the_inputs_hold_the_request_and_the_settings_of_the_agent(video: Path) -> None:
    request = CaseRequest(
        video, " Is it malignant? ", "large bowel", 1.0, 3.5, "fps", ["P 7", " ", "P 7 "], "case-1"
    )
    inputs = request.inputs(RunSettings(model="nano", frames=8, start=9.0))
    assert (inputs["video"], inputs["case_id"]) == (str(video.resolve()), "case-1")
    assert (inputs["site"], inputs["question"]) == ("colon", "Is it malignant?")
    settings = RunSettings.model_validate(inputs["settings"])
    assert settings == RunSettings(
        model="nano", frames=8, start=1.0, end=3.5, sampling="fps", exclude=["P 7"]
    )


def test_every_request_has_an_id_of_its_own(video: Path) -> None:
    assert len({CaseRequest(video).case_id for _ in range(20)}) == 20


def test_masks_are_inputs_as_shares_of_the_frame(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100)).save(tmp_path / "case.png")
    masks = parse_masks(["20,10,100,50"], ["0,0,0.5,0.5"])
    inputs = CaseRequest(tmp_path / "case.png", masks=masks).inputs(RunSettings())
    settings = RunSettings.stored(json.loads(json.dumps(inputs["settings"])))
    assert settings.masks == Masks(drawn=((0.1, 0.1, 0.5, 0.5),), cleared=((0.0, 0.0, 0.5, 0.5),))
    with pytest.raises(InputError, match="mask .* reaches over the frame"):
        CaseRequest(tmp_path / "case.png", masks=Masks(drawn=((0, 0, 300, 50),))).inputs(RunSettings())
    for wrong in ("1,2", "0.5,0,0.2,1"):
        with pytest.raises(InputError, match="The mask"):
            parse_masks([wrong])
    assert parse_masks([]) is None


def test_a_report_gives_its_request_back(cases: SimpleNamespace) -> None:
    masks = Masks(drawn=((0.1, 0.1, 0.5, 0.5),))
    settings = RunSettings(start=1.0, end=2.0, sampling="keyframes", exclude=["P 7"], masks=masks)
    report = cases.report(settings=settings, question="What is it?")
    request = CaseRequest.of(report, "case-2")
    assert request == CaseRequest(
        report.video.path, "What is it?", "colon", 1.0, 2.0, "keyframes", ["P 7"], "case-2", masks=masks
    )
    with pytest.raises(InputError, match="before its video was read"):
        CaseRequest.of(cases.report(video=None), "case-3")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"video": "none.mp4"}, "no file or folder"),
        ({"site": "moon"}, "moon"),
        ({"question": " "}, "is empty"),
        ({"question": "x" * (MAX_QUESTION + 1)}, "at most 2,000"),
        ({"question": "\ud800"}, "not valid"),
        ({"exclude": ["P \ud800"]}, "not valid"),
        ({"um_per_pixel": 0.0}, "not possible"),
        ({"um_per_pixel": float("nan")}, "not possible"),
    ],
)
def test_a_request_that_cannot_be_used_is_rejected(
    video: Path, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        CaseRequest(**{"video": video, **fields}).inputs(RunSettings())
