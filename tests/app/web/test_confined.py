"""A server that names folders: no page takes a path outside of them, and who opens it to others is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from typer.testing import Result

from videopath.agent import load_case_library
from videopath.app.web.server import warning_to_others
from videopath.core.errors import InputError

OUTSIDE = "lies outside of the allowed folders"


@pytest.fixture
def slides(tmp_path: Path, own_home: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that visitors may name, with a video."""
    folder = tmp_path / "slides"
    folder.mkdir()
    copy(clip, folder / "case.mp4")
    monkeypatch.setenv("VIDEOPATH_FOLDERS", str(folder))
    return folder


def _told(shown: Any) -> str:
    return " ".join(e.value for e in (*shown.error, *shown.text)).replace("\\", "")


def _start(shown: Any) -> Any:
    return next(button for button in shown.button if button.key == "start_case")


def _shown(app: Callable[..., Any], page: str, **widgets: str) -> Any:
    """A page with values in its widgets as somebody typed them."""
    shown = app(page)
    for key, value in widgets.items():
        shown.session_state[key] = value
    shown.run()
    assert not shown.exception
    return shown


def test_a_new_case_takes_a_path_from_inside(app: Callable[..., Any], slides: Path) -> None:
    shown = _shown(app, "new_case", video_path=str(slides / "case.mp4"))
    assert not _told(shown)
    assert not _start(shown).disabled


@pytest.mark.parametrize(
    ("widget", "value"),
    [("video_path", "/etc/passwd"), ("model", "/etc"), ("model", "stranger/model"), ("knowledge", "/etc")],
)
def test_a_new_case_takes_nothing_from_outside(
    app: Callable[..., Any], slides: Path, widget: str, value: str
) -> None:
    shown = _shown(app, "new_case", **{"video_path": str(slides / "case.mp4"), widget: value})
    assert OUTSIDE in _told(shown)
    assert _start(shown).disabled


def test_the_knowledge_page_takes_none_either(app: Callable[..., Any], slides: Path, clip: Path) -> None:
    assert OUTSIDE in _told(_shown(app, "knowledge", knowledge_base="/etc"))
    shown = _shown(app, "knowledge", frame_path=str(clip))
    shown.button(key="search_frame").click().run()
    assert OUTSIDE in _told(shown)


def test_the_worker_takes_none_from_whatever_page(
    slides: Path, clip: Path, own_home: Path, worker: Any, request_of: Callable[..., Any]
) -> None:
    inside = request_of("case-1", video=slides / "case.mp4")
    outside = replace(inside.case, video=clip)
    for asked in ({"case": outside}, {"model": str(clip.parent)}, {"knowledge": clip.parent}):
        with pytest.raises(InputError, match=OUTSIDE):
            worker.submit(replace(inside, **asked))
    assert load_case_library(own_home).list() == []
    worker.submit(inside)
    worker.stop("case-1")


def test_langgraphs_server_takes_none(slides: Path, clip: Path) -> None:
    from videopath.agent.studio import make_graph

    with pytest.raises(InputError, match=OUTSIDE):
        make_graph().invoke({"video": str(clip)})


def test_a_folder_that_is_not_there_confines_nobody(
    videopath: Callable[..., Result], monkeypatch: Any
) -> None:
    monkeypatch.setenv("VIDEOPATH_FOLDERS", "/tmp")  # the command sets it, the test takes it back
    answer = videopath("app", "--folder", "/nowhere/slides")
    assert answer.exit_code == 2
    assert "There is no folder /nowhere/slides" in answer.stderr


@pytest.mark.parametrize(
    ("folders", "said"),
    [(None, "can open any path of this machine"), ([Path("/data")], "can only open files in /data")],
)
def test_who_opens_it_to_others_is_told(folders: list[Path] | None, said: str) -> None:
    assert said in warning_to_others(folders)
    assert "no login" in warning_to_others(folders)
