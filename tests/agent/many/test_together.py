"""Side by side: the answers are those of each case alone, and one case's error stays its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fixtures.scripted import ScriptedEngine

from videopath.agent.many.together import Gathering, side_by_side
from videopath.core.errors import InputError
from videopath.media.clip import Clip, open_clip
from videopath.media.synthetic import render_case
from videopath.model.inference.engine import EncodesFrames, Generation, Request


class _Engine(ScriptedEngine):
    """Answers with the question; a request for "too long" cannot be answered together."""

    def __init__(self) -> None:
        super().__init__({})
        self.groups: list[int] = []

    def generate_together(self, *_: Any, **__: Any) -> list[Generation]:
        raise AssertionError("requests have options")

    def answer_together(self, sessions: list[Any], requests: list[Request]) -> list[Generation]:
        self.groups.append(len(requests))
        if any(one.question == "too long" for one in requests):
            raise InputError("One of them is too long.")
        return [Generation(one.question, [1], [0.0], 0.0, "eos") for one in requests]


def _asked(questions: list[str]) -> tuple[_Engine, list[str]]:
    engine, gathering = _Engine(), Gathering()
    shared = side_by_side(engine, gathering)  # type: ignore[arg-type]
    begin = threading.Barrier(len(questions))

    def case(question: str) -> str:
        with gathering.case():
            session = shared.open(_clip())
            begin.wait()
            return "".join(session.generate(question).text for _ in range(3))

    with ThreadPoolExecutor(len(questions)) as threads:
        return engine, list(threads.map(case, questions))


def _clip() -> Any:
    class Opened:
        path = None

    return Opened()


def test_each_case_gets_its_own_answers_and_most_are_written_together() -> None:
    engine, answers = _asked(["a", "b", "c", "d"])
    assert answers == ["aaa", "bbb", "ccc", "ddd"]
    assert max(engine.groups) > 1
    assert len(engine.groups) < 12


def test_if_they_cannot_be_written_together_each_is_asked_alone() -> None:
    engine, answers = _asked(["a", "too long"])
    alone = ScriptedEngine({}).open(_clip()).generate("a").text
    assert set(answers) <= {alone * 3, "a" * 3, *(f"{'a' * n}{alone * (3 - n)}" for n in range(4))} | {
        f"{alone * n}{'a' * (3 - n)}" for n in range(4)
    }
    assert answers[1] == alone * 3
    assert engine.groups


def test_an_engine_that_cannot_is_refused() -> None:
    with pytest.raises(InputError, match="leave --together out"):
        side_by_side(ScriptedEngine({}), Gathering())  # type: ignore[arg-type]


@pytest.mark.slow
def test_options_of_each_request_hold_beside_others(nano_engine: Any, tmp_path: Any) -> None:
    def clip(seed: int) -> Clip:
        file = render_case(tmp_path / f"{seed}.mp4", seconds=2, size=(128, 96), seed=seed)
        return open_clip(file, 2)

    requests = [
        Request("Describe the findings.", max_new_tokens=24),
        Request("What is the best diagnosis?", max_new_tokens=12, answer_start="Diagnosis:"),
        Request("What is the best diagnosis?", max_new_tokens=9, temperature=0.7, seed=7),
        Request("What is seen?", max_new_tokens=1),
    ]
    sessions = [nano_engine.open(clip(number)) for number in range(4)]
    together = nano_engine.answer_together(sessions, requests)
    for session, request, answer in zip(sessions, requests, together, strict=True):
        alone = session.generate(
            request.question,
            max_new_tokens=request.max_new_tokens,
            temperature=request.temperature,
            seed=request.seed,
            answer_start=request.answer_start,
        )
        assert (answer.tokens, answer.text, answer.stopped) == (alone.tokens, alone.text, alone.stopped)
        assert np.allclose(answer.logprobs, alone.logprobs, atol=1e-3)
    assert isinstance(side_by_side(nano_engine, Gathering()), EncodesFrames)
