"""``videopath app`` as people start it: a process of its own that answers on loopback and ends on Ctrl-C."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from videopath.app.web.runtime.services import services
from videopath.app.web.server import is_local

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def port(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("app") / "home", "--upload-limit", "7") as (_, port):
        yield port


def _get(address: str) -> tuple[int, str]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.status, answer.read().decode()


def test_it_answers_on_loopback_only(port: int) -> None:
    assert _get(f"http://127.0.0.1:{port}/_stcore/health") == (200, "ok")
    assert "<html" in _get(f"http://127.0.0.1:{port}/")[1]
    listening = Path("/proc/net/tcp")
    if listening.exists():
        rows = [line.split() for line in listening.read_text().splitlines()[1:]]
        hosts = {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
        assert hosts == {"0100007F"}


def test_the_first_page_comes_over_its_socket(port: int, tab_of: Any) -> None:
    with tab_of(port) as one, tab_of(port) as other:
        for tab in (one, other):
            tab.open_first_page()
            assert "New case" in tab.texts
            assert any("Research use only" in text for text in tab.texts)


def test_a_foreign_name_bent_to_this_machine_is_refused(port: int) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    with (
        pytest.raises(InvalidStatus),
        connect(f"ws://127.0.0.1:{port}/_stcore/stream", additional_headers=headers),
    ):
        pass


def test_ctrl_c_ends_it_cleanly_and_the_case_at_work_goes_on_later(
    serving: Any, tab_of: Any, own_home: Path, clip: Path
) -> None:
    with serving(own_home) as (server, port), tab_of(port) as tab:
        tab.open_first_page()
        tab.run(video_path={"string_value": str(clip)})
        tab.run(start_case={"trigger_value": True})
        case_id = tab.query.removeprefix("id=")
        server.send_signal(signal.SIGINT)  # the model is being loaded for it
        server.wait(timeout=60)
        said = (own_home.parent / f"server-{port}.log").read_text()
    assert server.returncode == 0
    assert "Traceback" not in said
    worker = services().worker
    assert services().library.entry(case_id).status == "running"
    assert worker.state(case_id) is None
    worker.resume(case_id, "somebody")
    assert worker.state(case_id) is not None
    worker.stop(case_id)


def test_a_port_in_use_is_told(port: int, videopath: Run) -> None:
    _refused(videopath("app", "--port", port), f"port {port}", "--port")


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
