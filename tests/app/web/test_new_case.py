"""The page of a new case: what is shown before anything runs, what is refused, and what is begun."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videopath.agent import load_case_library
from videopath.agent.replay import settings_of
from videopath.app.web.runtime.services import services
from videopath.media.masks import Masks

App = Callable[..., Any]


def _start(shown: Any) -> Any:
    return next(button for button in shown.button if button.key == "start_case")


def _told(shown: Any) -> str:
    return " ".join(element.value for element in (*shown.error, *shown.warning, *shown.success)).replace(
        "\\", ""
    )


def _pictures(shown: Any) -> list[Any]:
    """Of the first strip of images on the page."""
    (strip,) = shown.get("image") or shown.get("imgs")
    return list(strip.proto.imgs)


def _begun(shown: Any, home: Path) -> str:
    """The id of the one case that the page began; the page itself then wants to go to another, not there in a test."""
    _start(shown).click().run()
    (entry,) = load_case_library(home).list()
    return entry.case_id


def test_without_a_video_nothing_can_be_started(app: App) -> None:
    shown = app("new_case").run()
    assert not shown.exception
    assert _start(shown).disabled
    assert "Choose a video" in shown.info[0].value


def test_the_frames_and_the_verdict_come_before_anything_runs(app: App, clip: Path, own_home: Path) -> None:
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(f' "{clip}" ').run()
    assert not shown.exception
    assert "quality" in _told(shown)
    assert not _start(shown).disabled
    assert len(_pictures(shown)) == 8
    assert load_case_library(own_home).list() == []


def test_the_preview_follows_the_choices(app: App, clip: Path) -> None:
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(clip))
    shown.number_input(key="frames").set_value(3)
    shown.number_input(key="start").set_value(1.0)
    shown.run()
    captions = [image.caption for image in _pictures(shown)]
    assert len(captions) == 3
    assert captions[0] == "1.00 s"
    shown.number_input(key="end").set_value(0.5).run()
    assert "before the start" in _told(shown)
    assert _start(shown).disabled


def test_a_short_folder_shows_each_frame_once(app: App, clip: Path, tmp_path: Path) -> None:
    from videopath.app.web.runtime.playable import frame_at

    (tmp_path / "frames").mkdir()
    for second in (1, 2):
        Image.fromarray(frame_at(clip, second)).save(tmp_path / "frames" / f"{second}.png")
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(tmp_path / "frames")).run()
    assert [picture.caption for picture in _pictures(shown)] == ["0.00 s", "1.00 s"]
    assert "2 of 2 frames" in " ".join(caption.value for caption in shown.caption)


def test_what_is_no_tissue_is_refused_in_words(app: App, tmp_path: Path) -> None:
    Image.fromarray(np.full((240, 320, 3), 245, np.uint8)).save(tmp_path / "blank.png")
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(tmp_path / "blank.png")).run()
    assert "Refused" in _told(shown)
    assert "empty glass" in _told(shown)
    assert _start(shown).disabled


def test_writing_in_the_frames_is_filled_named_and_stops_nothing(
    app: App, clip: Path, tmp_path: Path
) -> None:
    import cv2

    from videopath.app.web.runtime.playable import frame_at

    frame = frame_at(clip, 1.0).copy()
    cv2.rectangle(frame, (20, 20), (280, 56), (250, 250, 250), -1)
    cv2.putText(frame, "SMITH 4839201", (32, 48), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
    Image.fromarray(frame).save(tmp_path / "named.png")
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(tmp_path / "named.png")).run()
    assert any("were filled" in said.value for said in shown.info)
    assert any(said.value.startswith("1. filled (personal, ") for said in shown.text)
    assert not _start(shown).disabled
    shown.button(key="mask_1").click().run()
    assert any("Do not fill" not in one.label and one.key == "mask_1" for one in shown.button)
    assert any("may name the patient" in warning.value for warning in shown.warning)
    assert any("left readable as a person asked" in said.value for said in shown.text)
    shown.button(key="mask_1").click().run()
    assert any(said.value.startswith("1. filled (personal, ") for said in shown.text)
    shown.selectbox(key="writing").set_value("keep").run()
    assert any("not masked" in warning.value for warning in shown.warning)
    shown.text_input(key="crop").set_value("0,0.4,1,1").run()
    assert not any("places" in warning.value for warning in shown.warning), (
        "nothing is written in the lower part"
    )
    for wrong in ("1,2", "0.5,0,0.5,1", "0,0,5000,20"):
        shown.text_input(key="crop").set_value(wrong).run()
        assert not shown.exception
        assert "crop" in _told(shown)
        assert _start(shown).disabled


def test_shares_of_the_picture_count_from_its_corners() -> None:
    from videopath.app.web.components.new_case.frame_choice import _chart

    picture = _chart("data:image/jpeg;base64,#36x27", [], None).to_dict()["layer"][0]
    assert picture["mark"]["width"] == {"expr": "width"}, (
        "the picture is as large as the view, whatever its size"
    )
    assert picture["mark"]["height"] == {"expr": "height"}
    assert picture["encoding"]["y"]["scale"]["domain"] == [1, 0]


@pytest.mark.parametrize(
    ("selection", "crop"),
    [
        ({"x": [0.25, 0.75], "y": [0.9, 0.1]}, (0.25, 0.1, 0.75, 0.9)),
        ({"x": [-0.2, 0.5], "y": [0.5, 1.4]}, (0.0, 0.5, 0.5, 1.0)),
        ({"x": [0.5, 0.51], "y": [0.1, 0.9]}, None),  # a click
        ({"x": [0.1, 0.9]}, None),
        ({}, None),
    ],
)
def test_a_drawn_rectangle_is_the_crop(selection: dict[str, Any], crop: Any) -> None:
    from videopath.app.web.components.new_case.frame_choice import crop_of_selection

    assert crop_of_selection(selection) == crop


def test_the_scale_of_a_file_is_filled_in_and_that_of_another_one_forgotten(
    app: App, clip: Path, tmp_path: Path
) -> None:
    from videopath.app.web.runtime.playable import frame_at

    Image.fromarray(frame_at(clip, 1.0)).save(
        tmp_path / "slide.tif", resolution_unit="cm", x_resolution=20_000, y_resolution=20_000
    )
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(tmp_path / "slide.tif")).run()
    assert shown.number_input(key="um_per_pixel").value == 0.5
    assert any("was read from the file: the TIFF resolution" in caption.value for caption in shown.caption)
    shown.text_input(key="video_path").set_value(str(clip)).run()
    assert shown.number_input(key="um_per_pixel").value is None
    shown.number_input(key="um_per_pixel").set_value(0.3).run()
    assert not any("was read from the file" in caption.value for caption in shown.caption)


def test_places_that_are_drawn_are_filled_in_the_case_until_they_are_removed(
    app: App, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(clip))
    shown.session_state["cropped_video"] = clip
    drawn = Masks(drawn=((0.1, 0.1, 0.3, 0.2), (0.5, 0.5, 0.7, 0.9)))
    shown.session_state["changed_masks"] = drawn
    shown.run()
    places = [said.value for said in shown.text if "drawn by a person" in said.value]
    assert len(places) == 2
    assert all(". filled (drawn by a person)" in place for place in places)
    shown.button(key="mask_1").click().run()
    assert shown.session_state["changed_masks"].drawn == drawn.drawn[1:]
    monkeypatch.setattr("videopath.app.web.runtime.worker.Worker.submit", lambda self, one: asked.append(one))
    _start(shown).click().run()
    assert asked[0].case.masks == Masks(drawn=drawn.drawn[1:])


@pytest.mark.parametrize("content", [None, b"", b"*not* a <b>video</b>" * 300])
def test_what_cannot_be_read_is_said(app: App, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "<i>a</i>_b_.mp4" if content is None else tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(path)).run()
    assert not shown.exception
    assert path.name in _told(shown)
    assert "<" not in shown.error[0].value.replace("\\<", "")
    assert _start(shown).disabled


def test_a_replaced_file_is_looked_at_again(app: App, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "case.png"
    Image.fromarray(np.full((240, 320, 3), 245, np.uint8)).save(path)
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(path)).run()
    assert "Refused" in _told(shown)
    from videopath.app.web.runtime.playable import frame_at

    Image.fromarray(frame_at(clip, 1.0)).save(path)
    shown.run()
    assert "Refused" not in _told(shown)


def test_a_case_is_begun_with_what_was_chosen(
    app: App, clip: Path, own_home: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_MODEL", str(checkpoint))
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(clip))
    shown.selectbox(key="site").set_value("colon")
    shown.text_input(key="question").set_value("Is it <b>benign</b>?")
    shown.selectbox(key="review_mode").set_value("always")
    shown.selectbox(key="sampling").set_value("keyframes")
    shown.number_input(key="frames").set_value(3)
    shown.number_input(key="end").set_value(2.0)
    shown.text_input(key="exclude").set_value("P-7, , ward 3 ")
    shown.run()
    case_id = _begun(shown, own_home)
    entry, settings = (
        load_case_library(own_home).entry(case_id),
        settings_of(load_case_library(own_home), case_id),
    )
    assert (entry.video, entry.site) == (str(clip), "colon")
    assert (settings.model, settings.review, settings.frames) == (str(checkpoint), "always", 3)
    assert (settings.sampling, settings.start, settings.end) == ("keyframes", None, 2.0)
    assert list(settings.exclude) == ["P-7", "ward 3"]
    worker = services().worker
    assert worker.state(case_id) is not None
    worker.stop(case_id)


def test_an_upload_lands_in_the_folder_of_its_case(app: App, clip: Path, own_home: Path) -> None:
    shown = app("new_case").run()
    shown.file_uploader(key="upload").set_value(("../../e vil.mp4", clip.read_bytes(), "video/mp4")).run()
    assert "quality" in _told(shown)
    case_id = _begun(shown, own_home)
    entry = load_case_library(own_home).entry(case_id)
    assert Path(entry.video) == own_home / "cases" / case_id / "upload" / "e vil.mp4"
    assert Path(entry.video).read_bytes() == clip.read_bytes()
    services().worker.stop(case_id)


def test_an_upload_that_is_taken_back_leaves_nothing(app: App, clip: Path, own_home: Path) -> None:
    shown = app("new_case").run()
    shown.file_uploader(key="upload").set_value(("case.mp4", clip.read_bytes(), "video/mp4")).run()
    assert list((own_home / "cases").glob("*/upload/case.mp4"))
    shown.file_uploader(key="upload").set_value(None).run()
    assert list((own_home / "cases").iterdir()) == []


def test_an_upload_that_cannot_be_kept_is_said(app: App, clip: Path, own_home: Path) -> None:
    own_home.write_text("a file where the folder should be")
    shown = app("new_case").run()
    shown.file_uploader(key="upload").set_value(("case.mp4", clip.read_bytes(), "video/mp4")).run()
    assert not shown.exception
    assert str(own_home) in _told(shown)
    assert _start(shown).disabled


def test_what_was_never_begun_is_removed_after_a_day(clip: Path, home: Path) -> None:
    import os

    for name, age in (("old", 90_000), ("new", 60)):
        folder = home / "cases" / name / "upload"
        folder.mkdir(parents=True)
        shutil.copy(clip, folder)
        os.utime(folder, (time.time() - age,) * 2)
    (home / "cases" / "done" / "upload").mkdir()
    os.utime(home / "cases" / "done" / "upload", (0, 0))
    services()
    left = {folder.name for folder in (home / "cases").iterdir()}
    assert "old" not in left
    assert {"new", "done"} <= left


def test_a_missing_knowledge_base_is_said_at_once(
    app: App, clip: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_KNOWLEDGE", "/nowhere/at all")
    shown = app("new_case").run()
    shown.text_input(key="video_path").set_value(str(clip)).run()
    _start(shown).click().run()
    assert "/nowhere/at all" in _told(shown)
    assert load_case_library(own_home).list() == []


def test_a_model_that_cannot_be_loaded_is_said(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("VIDEOPATH_MODEL", str(tmp_path / "empty"))
    services().worker.engines.warm()
    assert "empty" in _told(app("new_case").run())
