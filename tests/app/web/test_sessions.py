"""Several people at once on one server: the cases of all sessions, none lost, none mixed up."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser, installed, served
from PIL import Image

from videopath.agent import load_case_library
from videopath.core.files import sha256_file
from videopath.media.synthetic import render_case
from videopath.model import open_clip

_SESSIONS, _EACH, _WINDOWS = 5, 2, 2
_PATIENCE = 240.0  # seconds for all, on a machine that does other things as well


@pytest.fixture
def pictures(tmp_path: Path) -> list[list[Path]]:
    """Two pictures for each session, all different."""
    frames = open_clip(render_case(tmp_path / "case.mp4", seconds=4), _SESSIONS * _EACH).frames
    paths = [tmp_path / f"picture {number}.png" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    return [paths[at : at + _EACH] for at in range(0, len(paths), _EACH)]


def _two_cases(open_tab: Any, own: list[Path]) -> dict[str, Path]:
    """Begin a case for each picture, in one session; case id → picture."""
    begun: dict[str, Path] = {}
    with open_tab() as tab:
        for picture in own:
            tab.open_first_page()
            tab.run(video_path={"string_value": str(picture)}, site={"string_value": "colon"})
            tab.run(start_case={"trigger_value": True})
            begun[tab.query.removeprefix("id=")] = picture
            assert any(picture.name in text.replace("\\", "") for text in tab.texts), tab.texts
            others = {p.name for p in picture.parent.glob("picture *.png")} - {p.name for p in own}
            assert not [text for text in tab.texts if any(name in text for name in others)]
    return begun


@pytest.mark.slow
def test_five_sessions_finish_ten_cases(
    serving: Any, tab_of: Any, pictures: list[list[Path]], own_home: Path
) -> None:
    with serving(own_home) as (_, port):
        with ThreadPoolExecutor(_SESSIONS) as people:
            answers = list(people.map(lambda own: _two_cases(partial(tab_of, port), own), pictures))
        begun = {case_id: picture for each in answers for case_id, picture in each.items()}
        assert len(begun) == _SESSIONS * _EACH
        _look_at_them(begun, own_home)


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="no browser: install Debian's chromium and chromium-driver")
def test_two_windows_of_a_browser_finish_two_cases(
    pictures: list[list[Path]], own_home: Path, tmp_path: Path
) -> None:
    with served(own_home) as address:
        browser = Browser(address, tmp_path / "profile")
        try:
            windows = [browser.window() for _ in range(_WINDOWS)]
            begun = _begin_in_each(browser, windows, [own[0] for own in pictures[:_WINDOWS]])
            _look_at_them(begun, own_home)
            for case_id, window in zip(begun, windows, strict=True):
                browser.look_at(window)  # nobody touched it since: it shows the end of its own case
                browser.says(begun[case_id].name, patience=_PATIENCE)
                browser.until(lambda: browser.has("open_again"), "the case has ended", _PATIENCE)
                browser.open_tab("Record")
                browser.until(lambda: browser.has("download_pdf"), "the report can be had")
        finally:
            browser.close()


def _begin_in_each(browser: Browser, windows: list[str], videos: list[Path]) -> dict[str, Path]:
    """A case in every window: all are filled in before the first is started; case id → picture."""
    for window, video in zip(windows, videos, strict=True):
        browser.look_at(window)
        browser.go()
        browser.write("video_path", str(video))
        browser.choose("site", "colon")
        browser.says("Good quality", "preview")
    begun = {}
    for window, video in zip(windows, videos, strict=True):
        browser.look_at(window)
        browser.click("start_case")
        browser.until(lambda: "case?id=" in browser.driver.current_url, "the case has an address")
        begun[browser.driver.current_url.partition("id=")[2]] = video
    return begun


def _look_at_them(begun: dict[str, Path], home: Path) -> None:
    """Wait until all have ended; each is there, and is what its session asked for."""
    library, until = load_case_library(home), time.monotonic() + _PATIENCE
    while any(entry.status == "running" for entry in library.list()) and time.monotonic() < until:
        time.sleep(0.5)
    assert {entry.case_id: entry.status for entry in library.list()}.keys() == begun.keys()
    for case_id, picture in begun.items():
        report = library.get(case_id)
        assert report.status in ("done", "abstained")
        assert report.video is not None
        assert (report.video.path, report.video.sha256) == (str(picture), sha256_file(picture))
        assert report.steps[-1].name == "report"
