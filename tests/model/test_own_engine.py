"""Engines of one's own: from a function, and found by the name of an installed package."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from videopath.core.errors import EngineError
from videopath.media.clip import Clip, open_clip
from videopath.media.synthetic import render_case
from videopath.model import EngineSpec, FunctionEngine, load_engine
from videopath.model.inference.loading import installed_engine

_MODULE = """
from videopath.model import FunctionEngine

def load(spec):
    return FunctionEngine(lambda clip, question: f"{len(clip)} frames", name=str(spec.model), weights_sha256="1" * 64)
"""


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return open_clip(render_case(tmp_path / "case.mp4", seconds=1.0, size=(64, 64)), frames=4)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers the engines "mine" and "nano"."""
    info = tmp_path / "site" / "my_engine-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "my_engine.py").write_text(_MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[videopath.engines]\nmine = my_engine:load\nnano = my_engine:load\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


@pytest.mark.usefixtures("installed")
def test_an_installed_engine_is_found_by_its_name(clip: Clip) -> None:
    engine = load_engine(EngineSpec("mine:large", device="cpu"))
    assert engine.info.name == "mine:large"
    assert engine.info.wording == "plain"
    with engine.open(clip) as session:
        assert session.generate("How many?").text == "4 frames"


@pytest.mark.usefixtures("installed")
def test_no_package_takes_the_name_of_the_bundled_model() -> None:
    assert installed_engine("mine") is not None
    assert installed_engine("nano") is None


def test_a_function_answers_once_and_its_answer_scores_the_candidates(clip: Clip) -> None:
    asked: list[str] = []

    def answer(seen: Clip, question: str) -> str:
        asked.append(question)
        return f"Diagnosis: Tubular adenoma. {seen.frames.shape[0]} frames."

    pieces: list[str] = []
    with FunctionEngine(answer, name="mine", weights_sha256="a").open(clip) as session:
        assert session.generate("What is it?", on_token=pieces.append).stopped == "eos"
        scores = session.score("What is it?", ["adenoma", "tubular adenoma", "carcinoma"])
        cancelled = session.generate("And this?", cancelled=lambda: True)
    assert asked == ["What is it?"]
    assert "".join(pieces) == "Diagnosis: Tubular adenoma. 4 frames."
    assert int(np.argmax(scores)) == 1
    assert sum(map(math.exp, scores)) == pytest.approx(1)
    assert (cancelled.stopped, cancelled.text) == ("cancelled", "")


def test_a_function_of_its_own_scores(clip: Clip) -> None:
    engine = FunctionEngine(
        lambda *_: "", name="mine", weights_sha256="a", score=lambda clip, question, texts: [-1.0, -2.0]
    )
    assert engine.info.scoring == "token probabilities"
    assert engine.open(clip).score("?", ["a", "b"]) == [-1.0, -2.0]


def test_what_a_function_cannot_do_is_an_error(clip: Clip) -> None:
    engine = FunctionEngine(lambda *_: "", name="mine", weights_sha256="a")
    assert not engine.info.scores_moments
    session = engine.open(clip)
    with pytest.raises(EngineError, match="single frames"):
        session.score_moments("?", ["a"])
    with pytest.raises(EngineError, match="vectors"):
        session.frame_vectors()
