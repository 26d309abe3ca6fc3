"""Questions to an engine outside the run of a case; they wait in the worker's queue like cases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from videopath.core.errors import EngineError, VideoPathError

if TYPE_CHECKING:
    from videopath.model.inference.engine import Engine

Answer = TypeVar("Answer")

_UNEXPECTED = "VideoPath failed unexpectedly. The server's log shows where. Report the problem."


def question(
    engine: Callable[[], Engine], work: Callable[[Engine], Answer]
) -> tuple[Future[Answer], Callable[[], None]]:
    """Return a future for the answer, and the task for the worker's thread that fills it.

    A question that is cancelled before its turn is not asked.

    Args:
        engine: Returns the engine.
        work: Asks the engine.
    """
    answer: Future[Answer] = Future()

    def ask() -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(work(engine()))
        except (VideoPathError, OSError) as error:
            answer.set_exception(error)
        finally:
            if not answer.done():  # the error itself is raised and logged
                answer.set_exception(EngineError(_UNEXPECTED))

    return answer, ask
