"""LangGraph's own server (``langgraph dev``), driven by its SDK: cases, streams, reviews and errors as its clients see them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fixtures.model_server import ScriptedServer

from videopath.agent.cases.library import CaseLibrary

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).resolve().parents[3]
_QUICK = {"frames": 2, "policy": {"review": "always", "max_looks": 0, "samples": 0}}
_GRAPH = "videopath"


@dataclass(frozen=True)
class Served:
    """A running server: its client, and the home folder of its cases."""

    client: Any
    home: Path

    def ask(self, given: object, thread: str | None = None) -> Any:
        """The outcome of a run from an input."""
        thread = thread or self.client.threads.create()["thread_id"]
        return self.client.runs.wait(thread, _GRAPH, input=given, raise_error=False)

    def decide(self, thread: str, decision: object) -> None:
        """Answer the review of a thread."""
        self.client.runs.wait(thread, _GRAPH, command={"resume": decision}, raise_error=False)

    def waiting(self, thread: str) -> list[dict[str, Any]]:
        """What the thread asks a person."""
        return [one["value"] for one in self.client.threads.get_state(thread)["interrupts"]]


@contextmanager
def _server(folder: Path, *, kill: bool = False, **settings: str) -> Iterator[Served]:
    """A server on loopback that works in a folder; at the end it is stopped, or killed."""
    if find_spec("langgraph_api") is None:
        pytest.skip("langgraph-cli[inmem] is not installed here")
    own = json.loads((_ROOT / "langgraph.json").read_text())
    place = str(_ROOT / "agent" / "studio.py")
    own["graphs"] = {name: path.replace("./agent/studio.py", place) for name, path in own["graphs"].items()}
    own["checkpointer"] = {"path": own["checkpointer"]["path"].replace("./agent/studio.py", place)}
    (folder / "langgraph.json").write_text(json.dumps(own))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    left_out = ("LANGSMITH", "LANGCHAIN", "LANGGRAPH", "VIDEOPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    environment |= {
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "LANGSMITH_TRACING": "false",
        "VIDEOPATH_HOME": str(folder / "home"),
        "VIDEOPATH_DEVICE": "cpu",
        **settings,
    }
    command = [sys.executable, "-c", "from langgraph_cli.cli import cli; cli()"]
    options = ["dev", "--no-browser", "--no-reload", "--n-jobs-per-worker", "8", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen([*command, *options], cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        with _client(port, server, log) as client:
            yield Served(client, folder / "home")
    finally:
        (server.kill if kill else server.terminate)()
        server.wait(timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with _server(tmp_path_factory.mktemp("served")) as server:
        yield server


def _client(port: int, server: subprocess.Popen[bytes], log: Path) -> Any:
    """The client, as soon as the server answers."""
    from langgraph_sdk import get_sync_client

    client = get_sync_client(url=f"http://127.0.0.1:{port}")
    until = time.monotonic() + 120
    while True:
        try:
            assert client.assistants.search(), "the server has no graph"
            return client
        except OSError:
            pass
        except Exception as error:
            if not type(error).__module__.startswith("httpx"):
                raise
        if server.poll() is not None or time.monotonic() > until:
            pytest.fail(f"the server did not start: {log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)


def test_the_schemas_name_what_goes_in_and_out(served: Served) -> None:
    (assistant,) = served.client.assistants.search()
    schemas = served.client.assistants.get_schemas(assistant["assistant_id"])
    assert schemas["input_schema"]["required"] == ["video"]
    assert {"looks", "steps", "review"} <= set(schemas["output_schema"]["properties"])
    assert schemas["context_schema"] is not None


def test_a_case_is_streamed_reviewed_and_reported(served: Served, small_case: Path) -> None:
    """Wrong decisions are asked for again with what was wrong, however often; the right one ends in a signed report."""
    thread = served.client.threads.create()["thread_id"]
    given = {"video": str(small_case), "site": "colon", "settings": _QUICK}
    events = served.client.runs.stream(thread, _GRAPH, input=given, stream_mode="updates")
    steps = [step for event in events if event.event == "updates" for step in event.data]
    assert steps[:4] == ["intake", "describe", "diagnose_blind", "retrieve"]
    assert steps[-1] == "__interrupt__"
    (asked,) = served.waiting(thread)
    assert asked["case_id"] == thread
    assert asked["diagnosis"]
    for wrong, word in (
        ({"action": "sign"}, "accept"),
        ("yes", "dictionary"),
        ({"action": "edit", "reviewer": "Dr. A"}, ""),
        ([1], ""),
        ({"action": "edit", "reviewer": "Dr. A", "diagnosis": ["x"]}, "diagnosis"),
    ):
        served.decide(thread, wrong)
        (again,) = served.waiting(thread)
        assert word in again["error"]
        assert again["diagnosis"] == asked["diagnosis"]
    served.decide(thread, {"action": "edit", "reviewer": "Dr. A", "diagnosis": "colon adenocarcinoma"})
    assert not served.waiting(thread)
    assert served.client.threads.get_state(thread)["next"] == []
    report = CaseLibrary(served.home).get(thread)
    assert (report.status, report.diagnosis, report.case_id) == ("signed", "colon adenocarcinoma", thread)


_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"video": "/nowhere/at-all.mp4"}, "There is no file or folder /nowhere/at-all.mp4"),
    ({"site": "colon"}, "The input of the case is not usable: video: Field required"),
    ({"video": 5}, "The input of the case is not usable: video"),
    ({"video": "VIDEO", "site": "the moon"}, "The site 'the moon' is not known"),
    ({"video": "VIDEO", "site": ["colon"]}, "The input of the case is not usable: site"),
    ({"video": "VIDEO", "case_id": "../outside"}, "is not a case id"),
    ({"video": "VIDEO", "settings": {"frames": "many"}}, "The input of the case is not usable"),
]


@pytest.fixture(scope="module")
def errors(served: Served, small_case: Path) -> list[str]:
    """The error of each wrong input; all are sent at the same time."""
    named = [
        {name: str(small_case) if value == "VIDEO" else value for name, value in given.items()}
        for given, _ in _WRONG
    ]
    with ThreadPoolExecutor(len(named)) as pool:
        return [outcome["__error__"]["message"] for outcome in pool.map(served.ask, named)]


@pytest.mark.parametrize("number", range(len(_WRONG)))
def test_an_error_of_the_user_arrives_as_its_sentence(errors: list[str], number: int) -> None:
    assert _WRONG[number][1] in errors[number]
    assert "\n" not in errors[number]


def test_a_thread_goes_on_after_an_error(served: Served, small_case: Path) -> None:
    thread = served.client.threads.create()["thread_id"]
    assert "__error__" in served.ask({"video": "/nowhere/at-all.mp4"}, thread)
    served.ask({"video": str(small_case), "site": "colon", "settings": _QUICK}, thread)
    assert len(served.waiting(thread)) == 1
    served.decide(thread, {"action": "reject", "reviewer": "Dr. A", "comment": "Out of focus."})
    assert CaseLibrary(served.home).get(thread).status == "rejected"


def _count(model: ScriptedServer, question: str) -> int:
    """How often the model was asked a question."""
    return [one.text for one in model.chats].count(question)


def test_a_thread_survives_a_killed_server_on_postgresql(
    tmp_path: Path, postgres: str, serve: Callable[..., ScriptedServer], small_case: Path
) -> None:
    """A served model answers; after a kill, a server that never heard of the thread finishes the case."""
    import psycopg

    model = serve(top_logprobs=20)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    settings = {
        "VIDEOPATH_HOME": str(tmp_path / "home"),
        "VIDEOPATH_DATABASE": postgres,
        "VIDEOPATH_MODEL": model.name,
    }
    with _server(first, kill=True, **settings) as server:
        thread = server.client.threads.create()["thread_id"]
        given = {"video": str(small_case), "site": "colon", "settings": {"model": model.name, **_QUICK}}
        server.client.runs.create(thread, _GRAPH, input=given)
        until = time.monotonic() + 120
        while len(before := server.client.threads.get_history(thread)) < 4 and time.monotonic() < until:
            time.sleep(0.2)
    answered = next(one.text for one in model.chats if "frames of a video" in one.text)
    asked_before = _count(model, answered)
    assert not list((tmp_path / "home").glob("*.sqlite*"))
    with _server(second, **settings) as server:
        server.client.threads.create(thread_id=thread, graph_id=_GRAPH)
        checkpoints = [
            one["checkpoint"]["checkpoint_id"] for one in server.client.threads.get_history(thread)
        ]
        assert {one["checkpoint"]["checkpoint_id"] for one in before} <= set(checkpoints)
        assert len(before) >= 4
        server.client.runs.wait(thread, _GRAPH, input=None, raise_error=False)
        (asked,) = server.waiting(thread)
        assert _count(model, answered) == asked_before
        server.decide(thread, {"action": "edit", "reviewer": "Dr. A", "diagnosis": "colon adenocarcinoma"})
        steps = [step["name"] for step in server.client.threads.get_state(thread)["values"]["steps"]]
        assert steps[:4] == ["intake", "describe", "diagnose_blind", "retrieve"]
        assert steps[-2:] == ["review", "report"]
        server.client.threads.delete(thread)
    with psycopg.connect(postgres) as connection:
        tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
        left = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]  # noqa: S608
    assert left == [(0,)] * 3
    report = CaseLibrary(tmp_path / "home", postgres).get(thread)
    assert (report.status, report.diagnosis) == ("signed", "colon adenocarcinoma")
    assert [step.name for step in report.steps] == steps
    assert asked["case_id"] == thread
