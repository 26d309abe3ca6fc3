"""Run as a process of its own by ``test_resume.py``: works on a case and stands still at a given point, to be killed.

    python killed_case.py HOME CHECKPOINT KNOWLEDGE VIDEO CASE POINT [DECISION [SECOND]]

``POINT`` is "call N" (within the N-th answer of the model, after its first token) or "retrieve" (as it begins). With a
decision, as JSON, the case is first worked on to its review; the point is one of what follows the decision. ``SECOND`` is
the model of a second opinion.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from videopath.agent import DiagnosticAgent, Policy
from videopath.knowledge import KnowledgeBase
from videopath.model import load_engine
from videopath.model.inference.session import LocalSession


def main(
    home: str,
    checkpoint: str,
    folder: str,
    video: str,
    case_id: str,
    point: str,
    decision: str = "",
    second: str = "",
) -> None:
    knowledge = KnowledgeBase.open(folder)
    agent = DiagnosticAgent.load(
        load_engine(checkpoint, device="cpu", dtype="float32"),
        knowledge,
        "always" if decision else "never",
        policy=Policy(max_looks=0, samples=2, description_tokens=24, answer_tokens=12),
        second_opinion=load_engine(second, device="cpu", dtype="float32") if second else None,
        home=home,
    )
    if decision:
        agent.diagnose(video, site="colon", case_id=case_id)
    if point == "retrieve":
        knowledge.find = stand_still  # type: ignore[method-assign]
    else:
        stand_still_within(int(point.removeprefix("call ")))
    if decision:
        agent.resume(case_id, json.loads(decision))
    else:
        agent.diagnose(video, site="colon", case_id=case_id)


def stand_still_within(number: int) -> None:
    """Let the ``number``-th call of ``generate`` stop after its first token."""
    generate, count = LocalSession.generate, iter(range(1, 1000))

    def stopping(self: LocalSession, question: str, **settings: Any) -> Any:
        if next(count) == number:
            settings["on_token"] = stand_still
        return generate(self, question, **settings)

    LocalSession.generate = stopping  # type: ignore[method-assign]


def stand_still(*_: Any, **__: Any) -> Any:
    sys.stdout.write("here\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
