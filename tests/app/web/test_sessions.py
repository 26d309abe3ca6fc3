"""Several people at once on one server: ten cases of five sessions, none lost, none mixed up."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

from videopath.agent import load_case_library
from videopath.core.files import sha256_file
from videopath.model import open_clip
from videopath.model.synthetic import render_case

_SESSIONS, _EACH = 5, 2
_PATIENCE = 240.0  # seconds for all ten, on a machine that does other things as well


class Tab:
    """A session as a browser holds it: what it was shown last, and the widgets' values that it sends back."""

    def __init__(self, port: int) -> None:
        self._socket = connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None)
        self._page = self.query = ""
        self._ids: dict[str, str] = {}
        self._values: dict[str, WidgetState] = {}
        self.texts: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def open_first_page(self) -> None:
        """Go to the first page, as by its link."""
        self._page = self.query = ""
        self._values.clear()
        self.run()

    def run(self, **values: Any) -> None:
        """Let the page run with these values of its widgets, by key, to its end."""
        for key, value in values.items():
            self._values[key] = WidgetState(id=self._ids[key], **value)
        asked = BackMsg(rerun_script={"page_script_hash": self._page, "query_string": self.query})
        asked.rerun_script.widget_states.widgets.extend(self._values.values())
        self._values = {key: s for key, s in self._values.items() if s.WhichOneof("value") != "trigger_value"}
        self.texts = []
        self._socket.send(asked.SerializeToString())
        while not self._take(ForwardMsg.FromString(self._socket.recv(timeout=90))):  # type: ignore[arg-type]
            pass

    def _take(self, message: ForwardMsg) -> bool:
        """Note what a message shows; True when the run has come to its end."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page = message.new_session.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta":
            self._note(message.delta.new_element)
        done = ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR
        return kind == "script_finished" and message.script_finished in done

    def _note(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        shown = getattr(element, kind) if kind else None
        if hasattr(shown, "id") and shown.id:
            self._ids[shown.id.rpartition("-")[2]] = shown.id
        for field in ("body", "message", "label"):
            self.texts.append(getattr(shown, field, ""))


@pytest.fixture
def port(own_home: Path) -> Iterator[int]:
    """Of a server of this test alone."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    command = [sys.executable, "-c", "from videopath.app.cli import main; main()"]
    options = ["app", "--port", str(port), "--home", str(own_home)]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert "listens" in server.stderr.readline()
            yield port
        finally:
            server.kill()


@pytest.fixture
def pictures(tmp_path: Path) -> list[list[Path]]:
    """Two pictures for each session, all different."""
    frames = open_clip(render_case(tmp_path / "case.mp4", seconds=4), _SESSIONS * _EACH).frames
    paths = [tmp_path / f"picture {number}.png" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    return [paths[at : at + _EACH] for at in range(0, len(paths), _EACH)]


def _two_cases(port: int, own: list[Path]) -> dict[str, Path]:
    """Begin a case for each picture, in one session; case id → picture."""
    begun: dict[str, Path] = {}
    with Tab(port) as tab:
        for picture in own:
            tab.open_first_page()
            tab.run(video_path={"string_value": str(picture)}, site={"string_value": "colon"})
            tab.run(start_case={"trigger_value": True})
            begun[tab.query.removeprefix("id=")] = picture
            assert any(picture.name in text.replace("\\", "") for text in tab.texts)
            others = {p.name for p in picture.parent.glob("picture *.png")} - {p.name for p in own}
            assert not [text for text in tab.texts if any(name in text for name in others)]
    return begun


@pytest.mark.slow
def test_five_sessions_finish_ten_cases(port: int, pictures: list[list[Path]], own_home: Path) -> None:
    with ThreadPoolExecutor(_SESSIONS) as people:
        answers = list(people.map(lambda own: _two_cases(port, own), pictures))
    begun = {case_id: picture for answer in answers for case_id, picture in answer.items()}
    assert len(begun) == _SESSIONS * _EACH
    library, until = load_case_library(own_home), time.monotonic() + _PATIENCE
    while any(entry.status == "running" for entry in library.list()) and time.monotonic() < until:
        time.sleep(0.5)
    assert {entry.case_id: entry.status for entry in library.list()}.keys() == begun.keys()
    for case_id, picture in begun.items():
        report = library.get(case_id)
        assert report.status in ("done", "abstained")
        assert report.video is not None
        assert (report.video.path, report.video.sha256) == (str(picture), sha256_file(picture))
        assert report.steps[-1].name == "report"
