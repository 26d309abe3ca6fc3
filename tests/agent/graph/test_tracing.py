"""A variable in the environment does not send a case to LangSmith; a setting of VideoPath may."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.langchain import wait_for_all_tracers
from langsmith.utils import get_env_var

from videopath.agent import DiagnosticAgent
from videopath.agent.graph.steps import RunContext
from videopath.agent.studio import make_graph
from videopath.core.errors import InputError
from videopath.tools import RetrieveTool


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine and what it receives; one for all tests, since LangSmith keeps its first client."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_PATCH = do_POST

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    wait_for_all_tracers()
    server.shutdown()
    server.server_close()


@pytest.fixture
def received(collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What the server receives in a test whose environment names it as LangSmith's."""
    address, bodies = collector
    for name, value in {
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGSMITH_ENDPOINT": address,
        "LANGSMITH_API_KEY": "none",
        "LANGSMITH_DISABLE_RUN_COMPRESSION": "true",
    }.items():
        monkeypatch.setenv(name, value)
    get_env_var.cache_clear()
    bodies.clear()
    yield bodies
    wait_for_all_tracers()
    get_env_var.cache_clear()


def test_a_case_is_not_traced_because_the_environment_says_so(
    received: list[bytes], small_case: Path, nano_engine
) -> None:
    with DiagnosticAgent.load(nano_engine) as agent:
        steps = [step.name for step in agent.stream(small_case, site="colon")]
    wait_for_all_tracers()
    assert steps[-1] == "report"
    assert received == []


_CASE: Any = {"video": "/nowhere/miss-jones.mp4", "site": "colon"}


async def _astream(graph: Any) -> None:
    async for _ in graph.astream(_CASE, context=RunContext()):
        pass


async def _astream_events(graph: Any) -> None:
    async for _ in graph.astream_events(_CASE, version="v2"):
        pass


_GRAPH_WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda graph: graph.invoke(_CASE),
    "batch": lambda graph: graph.batch([_CASE]),
    "stream": lambda graph: list(graph.stream(_CASE, stream_mode=["updates", "custom"])),
    "ainvoke": lambda graph: asyncio.run(graph.ainvoke(_CASE)),
    "astream": lambda graph: asyncio.run(_astream(graph)),
    "astream_events": lambda graph: asyncio.run(_astream_events(graph)),
    "within_another": lambda graph: RunnableLambda(lambda _: graph.invoke(_CASE)).invoke(0),
    "configured": lambda graph: graph.with_config(tags=["mine"]).invoke(_CASE),
}


@pytest.mark.parametrize("way", _GRAPH_WAYS)
def test_no_way_to_run_the_graph_of_langgraphs_tools_is_traced(way: str, received: list[bytes]) -> None:
    """A case that fails at once is enough: its input would have been sent before."""
    with pytest.raises(InputError):
        _GRAPH_WAYS[way](make_graph())
    wait_for_all_tracers()
    sent = b"".join(received)
    assert b"colon" not in sent
    if way != "within_another":  # whose own run is traced, with the error's sentence
        assert received == []


def test_a_state_that_is_changed_from_outside_is_not_traced(
    received: list[bytes], nano_engine, small_case: Path
) -> None:
    with DiagnosticAgent.load(nano_engine) as agent:
        config: Any = {"configurable": {"thread_id": "case"}}
        agent.graph.update_state(config, _CASE, as_node="intake")
    wait_for_all_tracers()
    assert received == []


_ASKED = {"description": "crowded crypts of Miss Jones", "site": "colon"}
_TOOL_WAYS: dict[str, Callable[[RetrieveTool], Any]] = {
    "run": lambda tool: tool.run(_ASKED),
    "arun": lambda tool: asyncio.run(tool.arun(_ASKED)),
    "invoke": lambda tool: tool.invoke(_ASKED),
    "ainvoke": lambda tool: asyncio.run(tool.ainvoke(_ASKED)),
    "stream": lambda tool: list(tool.stream(_ASKED)),
    "batch": lambda tool: tool.batch([_ASKED]),
    "within_another": lambda tool: RunnableLambda(lambda _: len(tool.invoke(_ASKED).neighbours)).invoke(0),
}


@pytest.mark.parametrize("way", _TOOL_WAYS)
def test_no_way_to_call_a_tool_is_traced(way: str, received: list[bytes]) -> None:
    _TOOL_WAYS[way](RetrieveTool())
    wait_for_all_tracers()
    assert b"Miss Jones" not in b"".join(received)
    assert bool(received) == (way == "within_another")  # the run around it is not VideoPath's


def test_the_setting_allows_it(received: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOPATH_TRACING", "1")
    RetrieveTool().invoke(_ASKED)
    wait_for_all_tracers()
    assert b"Miss Jones" in b"".join(received)
