"""Clients of the MCP server: the official one, kept open for a module in a thread with an event loop of its own."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

if TYPE_CHECKING:
    from mcp import Client

TOKEN = "a-token-that-only-the-tests-have"


class McpClient:
    """The official client, for tests that are no coroutines."""

    def __init__(self, client: Client, portal: BlockingPortal) -> None:
        self._client = client
        self._portal = portal

    def run(self, method: str, *arguments: Any, **more: Any) -> Any:
        """Call a method of the client and wait."""
        return self._portal.call(partial(getattr(self._client, method), *arguments, **more))

    def tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return the structured result of a tool."""
        result = self.run("call_tool", name, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    def error(self, name: str, **arguments: Any) -> str:
        """Return the sentence of a call that fails."""
        result = self.run("call_tool", name, arguments)
        assert result.is_error
        (content,) = result.content
        return content.text

    def steps(
        self, *, stop_at: int | None = None, **arguments: Any
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the outcome of ``diagnose_case`` and the messages of its progress; cancel it after some of them."""
        return self._portal.call(partial(self._steps, stop_at, arguments))

    async def _steps(
        self, stop_at: int | None, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, list[str]]:
        messages: list[str] = []
        outcome = None
        reached = anyio.Event()

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            assert progress == len(messages)
            messages.append(message or "")
            if stop_at is not None and len(messages) > stop_at:
                reached.set()

        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                nonlocal outcome
                result = await self._client.call_tool(
                    "diagnose_case", arguments, progress_callback=on_progress
                )
                assert not result.is_error, result.content
                outcome = result.structured_content
                reached.set()

            tasks.start_soon(call)
            await reached.wait()
            listed = await self._client.call_tool(
                "list_cases", {}
            )  # the server answers while the model works
            assert not listed.is_error
            tasks.cancel_scope.cancel()
        return outcome, messages

    def wait_until(self, case_id: str, state: str) -> None:
        """Wait until a case has a state."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            rows = {row["case_id"]: row for row in self.tool("list_cases")["cases"]}
            if rows.get(case_id, {}).get("state") == state:
                return
            time.sleep(0.05)
        raise AssertionError(f"{case_id} was never {state}: {rows}")


@contextmanager
def opened(transport: Any, **options: Any) -> Iterator[McpClient]:
    """Keep a client open for the block."""
    with start_blocking_portal() as portal:
        client = portal.call(lambda: _made(transport, options))
        with portal.wrap_async_context_manager(client):
            yield McpClient(client, portal)


async def _made(transport: Any, options: dict[str, Any]) -> Client:
    from mcp import Client

    return Client(transport() if callable(transport) else transport, **options)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An allowed folder with a case and a link that leads out of it; a home folder; a video that is not allowed."""
    from videopath.media.synthetic import render_case

    top = tmp_path_factory.mktemp("mcp")
    videos, outside = top / "videos", top / "outside"
    videos.mkdir()
    outside.mkdir()
    render_case(videos / "case.mp4", seconds=1.0, size=(320, 256))
    (outside / "secret.mp4").write_bytes((videos / "case.mp4").read_bytes())
    (videos / "link.mp4").symlink_to(outside / "secret.mp4")
    return SimpleNamespace(
        videos=videos, home=top / "home", secret=outside / "secret.mp4", stderr=top / "stderr.txt"
    )


@pytest.fixture(scope="module")
def stdio(folders: SimpleNamespace) -> Iterator[McpClient]:
    """A client of a server over stdio, in a process of its own."""
    from mcp.client.stdio import StdioServerParameters, stdio_client

    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "videopath.app.cli", "mcp", "--folder", str(folders.videos), "--home", str(folders.home)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    with (
        folders.stderr.open("w", encoding="utf-8") as errors,
        opened(lambda: stdio_client(parameters, errlog=errors)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def http_server(folders: SimpleNamespace, nano_engine: Any) -> Iterator[str]:
    """The address of a server over HTTP in this process, with the model of the tests."""
    import uvicorn

    from videopath.agent import DiagnosticAgent
    from videopath.app.mcp.calls import ModelCalls
    from videopath.app.mcp.running import http_app
    from videopath.app.mcp.service import TissueService
    from videopath.core.settings import load_settings

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load_settings().model_copy(update={"folders": (folders.videos,), "home": folders.home})
    with DiagnosticAgent.load(model=nano_engine, home=folders.home) as agent:
        app = http_app(TissueService(agent, settings), ModelCalls(), port, TOKEN)
        server = uvicorn.Server(
            uvicorn.Config(
                app, host="127.0.0.1", port=port, log_config=None, ws="none", timeout_graceful_shutdown=1
            )
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/mcp"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def http(http_server: str) -> Iterator[McpClient]:
    """A client of that server, with its token."""
    with opened(partial(over_http, http_server, TOKEN)) as client:
        yield client


@asynccontextmanager
async def over_http(address: str, token: str) -> AsyncIterator[Any]:
    """The transport of a client with a token."""
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        create_mcp_http_client(headers=headers) as requests,
        streamable_http_client(address, http_client=requests) as streams,
    ):
        yield streams


@pytest.fixture
def connect(http_server: str) -> Callable[..., Any]:
    """``with connect(token, mode="legacy") as client``: another client of the server over HTTP."""

    def made(token: str = TOKEN, **options: Any) -> Any:
        return opened(partial(over_http, http_server, token), **options)

    return made


@pytest.fixture
def resource() -> Callable[[McpClient, str], tuple[bytes, dict[str, Any]]]:
    """``resource(client, uri)``: its bytes and its ``_meta``."""
    import base64

    def read(client: McpClient, uri: str) -> tuple[bytes, dict[str, Any]]:
        (content,) = client.run("read_resource", uri).contents
        blob = getattr(content, "blob", None)
        data = content.text.encode() if blob is None else base64.b64decode(blob)
        return data, content.meta

    return read
