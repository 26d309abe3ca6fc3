"""Visitors of a server may only name files in the folders of the setting, whatever links and dots they use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from videopath.core.errors import InputError
from videopath.core.folders import visitor_model, visitor_path
from videopath.core.settings import Settings, load_settings


@pytest.fixture
def confined(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that allow two folders; one holds a link out of it, a folder of frames with such a link, and a circle of links."""
    for name in ("slides", "more", "slides-of-others", "slides/frames"):
        (tmp_path / name).mkdir()
    (tmp_path / "slides-of-others" / "secret.mp4").touch()
    (tmp_path / "slides" / "case.mp4").touch()
    (tmp_path / "slides" / "link.mp4").symlink_to(tmp_path / "slides-of-others" / "secret.mp4")
    (tmp_path / "slides" / "frames" / "1.png").symlink_to(tmp_path / "slides-of-others" / "secret.mp4")
    (tmp_path / "slides" / "circle").symlink_to(tmp_path / "slides" / "circle")
    monkeypatch.setenv(
        "VIDEOPATH_FOLDERS", os.pathsep.join([str(tmp_path / "slides"), str(tmp_path / "more")])
    )
    return load_settings()


@pytest.mark.parametrize(
    "path", ["slides/case.mp4", "slides/../slides/case.mp4", "more", "more/not-there.mp4"]
)
def test_what_lies_in_a_named_folder_may_be_named(confined: Settings, tmp_path: Path, path: str) -> None:
    assert visitor_path(f"{tmp_path}/{path}", confined) == (tmp_path / path).resolve()


@pytest.mark.parametrize(
    "path",
    [
        "slides-of-others/secret.mp4",
        "slides/../slides-of-others/secret.mp4",
        "slides/link.mp4",
        "slides/frames",
        "slides/circle",
        ".",
        "not-there",
        "home/videopath.toml",
    ],
)
def test_what_lies_or_leads_elsewhere_may_not(confined: Settings, tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError):
        visitor_path(f"{tmp_path}/{path}", confined)


@pytest.mark.parametrize("path", ["/etc/passwd", "~nobody-of-this-name/a.mp4", "a\0b", "relative.mp4", "~"])
def test_other_places_may_not(confined: Settings, path: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*$"):
        visitor_path(path, confined)


def test_uploads_and_the_pages_own_knowledge_bases_may(confined: Settings, own_home: Path) -> None:
    for place in (own_home / "cases" / "1" / "upload" / "a.mp4", own_home / "knowledge" / "ward 3"):
        assert visitor_path(place, confined) == place


def test_a_model_is_a_named_folder_nano_or_the_settings_own(confined: Settings, tmp_path: Path) -> None:
    assert visitor_model("nano", confined) == "nano"
    assert visitor_model(str(tmp_path / "more"), confined) == str(tmp_path / "more")
    for name in ("stranger/model", str(tmp_path / "slides-of-others")):
        with pytest.raises(InputError, match="outside"):
            visitor_model(name, confined)
    own = confined.model_copy(update={"model": "stranger/model"})
    assert visitor_model("stranger/model", own) == "stranger/model"


def test_without_the_setting_any_path_may_be_named(own_home: Path) -> None:
    settings = load_settings()
    assert settings.folders is None
    assert visitor_path("/etc/passwd", settings) == Path("/etc/passwd")
    assert visitor_model("stranger/model", settings) == "stranger/model"


@pytest.mark.parametrize("value", ["", " ", f"/a{os.pathsep}"])
def test_a_setting_that_names_no_folder_is_no_freedom(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("VIDEOPATH_FOLDERS", value)
    with pytest.raises(InputError, match="names no folder"):
        load_settings()


def test_the_settings_file_lists_them(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "videopath.toml").write_text('folders = ["/data/slides", "/data/more"]\n')
    assert load_settings().folders == (Path("/data/slides"), Path("/data/more"))
