"""Run as a process of its own by ``test_taking_over.py``: works on a case and stands still in the search, to be killed.

python stopped_worker.py TESTS KNOWLEDGE VIDEO CASE
"""

from __future__ import annotations

import sys
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from fixtures.scripted import SURE, ScriptedEngine  # noqa: E402

from videopath.agent import DiagnosticAgent, Policy  # noqa: E402
from videopath.knowledge import KnowledgeBase  # noqa: E402


def stand_still(*_: Any, **__: Any) -> Any:
    sys.stdout.write("here\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    _, folder, video, case_id = sys.argv[1:]
    knowledge = KnowledgeBase.open(folder)
    knowledge.find = stand_still  # type: ignore[method-assign]
    with DiagnosticAgent.load(ScriptedEngine(SURE), knowledge, policy=Policy(max_looks=0)) as agent:
        agent.diagnose(video, site="colon", case_id=case_id)
