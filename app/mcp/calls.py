"""Calls of blocking functions from the server's event loop: one at a time, with progress, and stopped on request."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio
from anyio import from_thread, to_thread
from mcp.server.mcpserver.exceptions import ToolError

from videopath.app.mcp.service import Check

Value = TypeVar("Value")


_ENDING = "The server ends. No finished step is lost: call diagnose_case with the id of the case to go on."


class CallStopped(BaseException):
    """Ends a call that was cancelled, or whose server ends. Not an ``Exception``, so that no code handles it as a failure."""


class ModelCalls:
    """The calls that need the model. They wait for one another, in the order in which they came.

    The event loop stays free, so that progress and cancellation reach client and server while the model works.
    """

    def __init__(self) -> None:
        self._turn = anyio.CapacityLimiter(1)
        self._ending = threading.Event()

    async def run(self, work: Callable[[Check], Value]) -> Value:
        """Run a function in a thread when its turn comes.

        If the call is cancelled, the function stops between two tokens, and the next call waits until it has.

        Args:
            work: Gets a function that it must call often; that raises once the call has to stop.

        Raises:
            ToolError: The server ends.
        """
        return await to_thread.run_sync(self._run, work, limiter=self._turn)

    def send(self, notify: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run an asynchronous function in the event loop, from the thread of a call.

        Raises:
            CallStopped: The call has to stop.
        """
        self._check()
        try:
            from_thread.run(notify)
        except (asyncio.CancelledError, concurrent.futures.CancelledError) as cancelled:
            raise CallStopped from cancelled

    def end(self) -> None:
        """Stop all calls, and take no more: the server ends."""
        self._ending.set()

    def _run(self, work: Callable[[Check], Value]) -> Value:
        try:
            self._check()
            return work(self._check)
        except CallStopped as stopped:
            from_thread.check_cancelled()  # raises the cancellation that the event loop expects
            raise ToolError(_ENDING) from stopped

    def _check(self) -> None:
        """Raise ``CallStopped`` if the call of this thread was cancelled, or if the server ends."""
        if self._ending.is_set():
            raise CallStopped
        try:
            from_thread.check_cancelled()
        except asyncio.CancelledError as cancelled:
            raise CallStopped from cancelled
