"""``videopath app`` as people start it: a process of its own that answers on loopback and ends on Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from typer.testing import Result
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from videopath.app.web.server import is_local

_VIDEOPATH = [sys.executable, "-c", "from videopath.app.cli import main; main()"]
Run = Callable[..., Result]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def _server(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The running command and its port, once it says that it listens."""
    port = _free_port()
    command = [*_VIDEOPATH, "app", "--port", str(port), "--home", str(home), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert f"http://127.0.0.1:{port}" in server.stderr.readline()
            yield server, port
        finally:
            server.kill()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that the tests of this module share."""
    with _server(tmp_path_factory.mktemp("app") / "home", "--upload-limit", "7") as (_, port):
        yield port


def _get(address: str) -> tuple[int, str]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.status, answer.read().decode()


def _first_page(port: int) -> list[str]:
    """The texts of a new session's first page, as a browser gets them."""
    texts: list[str] = []
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as page:  # type: ignore[list-item]
        page.send(BackMsg(rerun_script={}).SerializeToString())
        while True:
            message = ForwardMsg.FromString(page.recv(timeout=60))  # type: ignore[arg-type]
            element = message.delta.new_element
            texts += [element.heading.body, element.alert.body, element.exception.message]
            if message.WhichOneof("type") == "script_finished":
                return [text for text in texts if text]


def test_it_answers_on_loopback_only(port: int) -> None:
    assert _get(f"http://127.0.0.1:{port}/_stcore/health") == (200, "ok")
    assert "<html" in _get(f"http://127.0.0.1:{port}/")[1]
    listening = Path("/proc/net/tcp")
    if listening.exists():
        rows = [line.split() for line in listening.read_text().splitlines()[1:]]
        hosts = {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
        assert hosts == {"0100007F"}


def test_the_first_page_comes_over_its_socket(port: int) -> None:
    first = _first_page(port)
    assert "New case" in first
    assert any("Research use only" in text for text in first)
    assert _first_page(port) == first  # a second tab


def test_a_foreign_name_bent_to_this_machine_is_refused(port: int) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    with (
        pytest.raises(InvalidStatus),
        connect(f"ws://127.0.0.1:{port}/_stcore/stream", additional_headers=headers),
    ):
        pass


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    with _server(tmp_path / "home") as (server, port):
        assert "New case" in _first_page(port)  # the model is loading behind it now
        server.send_signal(signal.SIGINT)
        said = server.communicate(timeout=60)[1]
        assert server.returncode == 0
        assert "Traceback" not in said


def test_a_port_in_use_is_told(port: int, videopath: Run) -> None:
    _refused(videopath("app", "--port", port), f"Port {port}", "--port")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "no.such.host.invalid"), ("no.such.host.invalid", "address")),
        (("--host", "192.0.2.1"), ("192.0.2.1", "--host")),
        (("--model", "/nowhere/model"), ("/nowhere/model", "nano")),
        (("--model", "nanno"), ("nanno", "nano")),
        (("--knowledge", "/nowhere/base"), ("/nowhere/base", "starter")),
        (("--port", "70000"), ("Usage",)),
        (("--upload-limit", "0"), ("Usage",)),
    ],
)
def test_what_cannot_be_served_is_told_in_a_sentence(
    videopath: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    for name in ("VIDEOPATH_MODEL", "VIDEOPATH_KNOWLEDGE"):  # the command sets them, the test takes them back
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)
    _refused(videopath("app", *options), *words)


def _refused(answer: Result, *words: str) -> None:
    assert answer.exit_code == 2
    assert answer.stdout == ""
    for word in words:
        assert word in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("a.b", False),
    ],
)
def test_who_can_reach_it(host: str, local: bool) -> None:
    assert is_local(host) is local
