"""Questions to the engine that belong to no case: queued with the cases, answered by the worker's thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from videopath.core.errors import EngineError, VideoPathError

if TYPE_CHECKING:
    from videopath.model.inference.engine import LocalEngine

Answer = TypeVar("Answer")

_UNFORESEEN = "VideoPath failed in a way that it should not. The server's log says where; report it."


def question(
    engine: Callable[[], LocalEngine], work: Callable[[LocalEngine], Answer]
) -> tuple[Future[Answer], Callable[[], None]]:
    """What will hold the answer, and what the worker's thread does for it. A cancelled question is not asked."""
    answer: Future[Answer] = Future()

    def ask() -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(work(engine()))
        except (VideoPathError, OSError) as error:
            answer.set_exception(error)
        finally:
            if not answer.done():  # the error goes on to the log
                answer.set_exception(EngineError(_UNFORESEEN))

    return answer, ask
