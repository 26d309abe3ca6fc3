"""Calls of the model: one at a time, stopped between two tokens, also if the server ends."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

pytest.importorskip("mcp", reason="the MCP server needs the extra mcp")

from mcp.server.mcpserver.exceptions import ToolError  # noqa: E402

from videopath.app.mcp.calls import ModelCalls  # noqa: E402
from videopath.app.mcp.service import Check  # noqa: E402


def _forever(check: Check) -> None:
    while True:
        check()
        time.sleep(0.001)


def test_calls_wait_for_one_another_in_order() -> None:
    events: list[str] = []

    async def main() -> None:
        calls = ModelCalls()

        async def call(name: str) -> None:
            def work(check: Check) -> None:
                events.append(f"{name} begins")
                time.sleep(0.01)
                events.append(f"{name} ends")

            await calls.run(work)

        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(call, name)

    anyio.run(main)
    assert events == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


def test_the_next_call_waits_until_a_cancelled_one_has_stopped() -> None:
    events: list[str] = []

    async def main() -> None:
        calls, begun = ModelCalls(), threading.Event()

        def first(check: Check) -> None:
            begun.set()
            try:
                _forever(check)
            finally:
                time.sleep(0.02)  # a token that is being written
                events.append("first has stopped")

        with anyio.move_on_after(10) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(calls.run, first)
                while not begun.is_set():
                    await anyio.sleep(0.001)
                tasks.cancel_scope.cancel()
        assert not scope.cancelled_caught
        await calls.run(lambda check: events.append("second"))

    anyio.run(main)
    assert events == ["first has stopped", "second"]


def test_calls_stop_when_the_server_ends() -> None:
    async def main() -> None:
        calls = ModelCalls()

        async def end() -> None:
            await anyio.sleep(0.01)
            calls.end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end)
            with pytest.raises(ToolError, match="The server ends"):
                await calls.run(_forever)
        with pytest.raises(ToolError, match="The server ends"):
            await calls.run(lambda check: None)

    anyio.run(main)


def test_progress_of_a_cancelled_call_stops_it() -> None:
    sent: list[int] = []

    async def main() -> None:
        calls = ModelCalls()
        with anyio.CancelScope() as scope:

            async def notify() -> None:
                sent.append(len(sent))
                if len(sent) == 2:
                    scope.cancel()

            def work(check: Check) -> None:
                for _ in range(5):
                    calls.send(notify)

            await calls.run(work)

    anyio.run(main)
    assert sent == [0, 1]
