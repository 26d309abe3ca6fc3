"""Run as a process of its own by ``test_many_workers.py``: workers on one queue, forked from one that imported everything.

    python queue_workers.py TESTS KNOWLEDGE NUMBER

It prints a JSON line ``[process, case, step]`` for each finished step, and ``[process, "", "ready"]`` for each worker.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

sys.path.insert(0, sys.argv[1])

from fixtures.scripted import SURE, ScriptedEngine, ScriptedSession  # noqa: E402

from videopath.agent.cases.library import load_case_library  # noqa: E402
from videopath.agent.queue_worker import QueueWorker  # noqa: E402
from videopath.knowledge import KnowledgeBase  # noqa: E402

PAUSE = 0.1  # seconds that an answer takes


def report(case_id: str, step: str) -> None:
    os.write(1, (json.dumps([os.getpid(), case_id, step]) + "\n").encode())


def slowly(answer: Any) -> Any:
    def answered(*given: Any, **more: Any) -> Any:
        time.sleep(PAUSE)
        return answer(*given, **more)

    return answered


def end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def work() -> None:
    engine = ScriptedEngine(SURE)
    working = QueueWorker(
        load_case_library(),
        lambda _spec: engine,
        on_step=lambda case_id, step: report(case_id, step.name),
    )
    signal.signal(signal.SIGTERM, lambda *_: working.stop())
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    report("", "ready")
    working.run()


def main(number: int) -> None:
    ScriptedSession.generate = slowly(ScriptedSession.generate)  # type: ignore[method-assign]
    KnowledgeBase.open(sys.argv[2]).search("tissue", k=1)  # loads the embedder once, for all of them
    children = []
    for _ in range(number):
        child = os.fork()
        if not child:
            work()
            os._exit(0)
        children.append(child)

    def end(*_: object) -> None:
        for child in children:
            with suppress(ProcessLookupError):  # the test has killed it
                os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[3]))
