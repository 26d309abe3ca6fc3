"""Calls of blocking functions from the server's event loop: one at a time, with progress, and stopped on request."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio
from anyio import from_thread, to_thread

from videopath.app.mcp.service import Check

Value = TypeVar("Value")


class CallStopped(BaseException):
    """Ends a call whose client has cancelled it. Not an ``Exception``, so that no code handles it as a failure."""


class ModelCalls:
    """The calls that need the model. They wait for one another, in the order in which they came.

    The event loop stays free, so that progress and cancellation reach client and server while the model works.
    """

    def __init__(self) -> None:
        self._turn = anyio.CapacityLimiter(1)

    async def run(self, work: Callable[[Check], Value]) -> Value:
        """Run a function in a thread when its turn comes.

        If the call is cancelled, the function stops between two tokens, and the next call waits until it has.

        Args:
            work: Gets a function that it must call often; that raises once the call is cancelled.
        """
        return await to_thread.run_sync(_run, work, limiter=self._turn)


def _run(work: Callable[[Check], Value]) -> Value:
    try:
        return work(check)
    except CallStopped:
        from_thread.check_cancelled()  # raises the cancellation that the event loop expects
        raise


def check() -> None:
    """Raise if the call that this thread works for was cancelled.

    Raises:
        CallStopped: It was.
    """
    try:
        from_thread.check_cancelled()
    except asyncio.CancelledError as cancelled:
        raise CallStopped from cancelled


def send(notify: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous function in the event loop, from the thread of a call.

    Raises:
        CallStopped: The call was cancelled.
    """
    check()
    try:
        from_thread.run(notify)
    except (asyncio.CancelledError, concurrent.futures.CancelledError) as cancelled:
        raise CallStopped from cancelled
