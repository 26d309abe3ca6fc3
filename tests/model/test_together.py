"""Several clips answered side by side: the same answers as one by one, whatever their lengths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videopath.core.errors import EngineError, InputError
from videopath.media.synthetic import ENTITIES, render_clip
from videopath.model import open_clip
from videopath.model.inference.engine import Request
from videopath.model.inference.session import LocalSession, answer_together
from videopath.model.prompts.questions import describe_question, one_prompt_question

QUESTIONS = (one_prompt_question("colon"), describe_question(None), one_prompt_question(None))


@pytest.fixture
def sessions(nano_engine: Any, tmp_path: Path) -> list[LocalSession]:
    """Three clips of 5, 2 and 8 frames."""
    opened = []
    for entity, count in zip(ENTITIES, (5, 2, 8), strict=False):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number, frame in enumerate(render_clip(entity, 7, count, 112)):
            Image.fromarray(frame).save(folder / f"{number}.png")
        opened.append(nano_engine.open(open_clip(folder, count)))
    return opened


def test_answers_are_those_of_one_after_the_other(sessions: list[LocalSession]) -> None:
    together = answer_together(sessions, [Request(one, max_new_tokens=120) for one in QUESTIONS])
    alone = [s.generate(q, max_new_tokens=120) for s, q in zip(sessions, QUESTIONS, strict=True)]
    assert len({len(answer.tokens) for answer in alone}) > 1, "they end at different times"
    for one, other in zip(together, alone, strict=True):
        assert (one.text, one.tokens, one.stopped) == (other.text, other.tokens, other.stopped)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)
    scored = [
        session.score(question, [" yes", " no"])
        for session, question in zip(sessions, QUESTIONS, strict=True)
    ]
    assert all(np.isfinite(scores).all() for scores in scored), "the sessions go on as before"


def test_an_answer_that_is_too_long_is_cut(sessions: list[LocalSession]) -> None:
    cut = answer_together(sessions, [Request(one, max_new_tokens=3) for one in QUESTIONS])
    assert [(len(answer.tokens), answer.stopped) for answer in cut] == [(3, "length")] * 3


def test_a_repetition_penalty_counts_each_answer_s_own_tokens(
    sessions: list[LocalSession], nano_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nano_engine.network
    monkeypatch.setattr(network, "config", replace(network.config, repetition_penalty=1.3))
    together = answer_together(sessions, [Request(one, max_new_tokens=40) for one in QUESTIONS])
    alone = [s.generate(q, max_new_tokens=40) for s, q in zip(sessions, QUESTIONS, strict=True)]
    assert [answer.tokens for answer in together] == [answer.tokens for answer in alone]


def test_a_wrong_number_of_tokens_and_a_closed_session_are_told(sessions: list[LocalSession]) -> None:
    with pytest.raises(InputError, match="max_new_tokens"):
        answer_together(sessions, [Request(one, max_new_tokens=0) for one in QUESTIONS])
    sessions[1].close()
    with pytest.raises(EngineError, match="closed"):
        answer_together(sessions, [Request(one) for one in QUESTIONS])
