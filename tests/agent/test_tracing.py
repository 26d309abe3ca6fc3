"""A variable in the environment does not send a case to LangSmith; a setting of VideoPath may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from langchain_core.tracers.langchain import wait_for_all_tracers
from langsmith.utils import get_env_var

from videopath.agent import DiagnosticAgent


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a server on this machine receives that the environment names as LangSmith's."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            paths.append(self.path)
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_PATCH = do_POST

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "LANGSMITH_API_KEY": "none",
    }.items():
        monkeypatch.setenv(name, value)
    get_env_var.cache_clear()
    yield paths
    server.shutdown()
    server.server_close()
    get_env_var.cache_clear()


def test_a_case_is_not_traced_because_the_environment_says_so(
    received: list[str], small_case: Path, nano_engine
) -> None:
    with DiagnosticAgent.load(nano_engine) as agent:
        steps = [step.name for step in agent.stream(small_case, site="colon")]
    wait_for_all_tracers()
    assert steps[-1] == "report"
    assert received == []
