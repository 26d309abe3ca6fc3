"""Each family answers as plain transformers does, and no answer depends on the others. No test needs torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.families import RECIPES, write_family

from videopath.core.errors import EngineError, InputError
from videopath.core.files import sha256_file
from videopath.media.clip import Clip
from videopath.model import load_engine
from videopath.model.families.engine import FamilyEngine
from videopath.model.families.prompting import FramePrompts
from videopath.model.families.session import FamilySession
from videopath.model.inference.engine import EncodesFrames, Generation

QUESTION = "What is the best diagnosis for this colon tissue?"
START = "Diagnosis:"
TEXTS = [" colon adenocarcinoma", " benign colon tissue.", " x"]


def clip_of(frames: int, seed: int = 0, kind: str = "video") -> Clip:
    """Noise, which no two frames share."""
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, 60, 80, 3), dtype=np.uint8)
    places = np.arange(frames)
    return Clip(
        path=Path("noise.mp4"),
        frames=pixels,
        seconds=places * 1.6,
        indices=places,
        fps=1.0,
        duration=float(frames),
        width=80,
        height=60,
        total_frames=frames,
        sha256="0" * 64,
        sampling="uniform",
        kind=kind,
        reader="decord",
    )


@pytest.fixture(scope="module", params=sorted(RECIPES))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FamilyEngine:
    folder = write_family(request.param, tmp_path_factory.mktemp("family") / request.param)
    loaded = load_engine(folder, device="cpu")
    assert isinstance(loaded, FamilyEngine)
    return loaded


@pytest.fixture(scope="module")
def session(engine: FamilyEngine) -> FamilySession:
    """One session for all tests that only ask: that they do not disturb each other is part of the promise."""
    return engine.open(clip_of(3))


def inputs_of(engine: FamilyEngine, clip: Clip, question: str = QUESTION, start: str = "") -> dict[str, Any]:
    """The inputs that the family's processor makes of a whole prompt with its pictures."""
    prompts = FramePrompts.of(engine.network.processor, clip)
    inputs, _ = prompts._encode(prompts.text(question, start))
    return {name: value for name, value in inputs.items() if value is not None}


def plain_answer(engine: FamilyEngine, clip: Clip, count: int, start: str = "") -> list[int]:
    """The greedy answer of transformers' own ``generate``."""
    inputs = inputs_of(engine, clip, start=start)
    with torch.inference_mode():
        out = engine.network.model.generate(**inputs, max_new_tokens=count, do_sample=False, pad_token_id=0)
    return out[0, inputs["input_ids"].shape[1] :].tolist()


def plain_score(engine: FamilyEngine, clip: Clip, text: str, start: str = "") -> torch.Tensor:
    """Log-probabilities of a text's tokens, by one plain pass over prompt and text without any cache."""
    inputs = inputs_of(engine, clip, start=start)
    tokens = engine.network.processor.continuation(text)
    length, more = inputs["input_ids"].shape[1], torch.tensor([tokens])
    for name, value in (("input_ids", more), ("attention_mask", torch.ones_like(more))):
        inputs[name] = torch.cat([inputs[name], value], dim=1)
    for name in ("token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], torch.zeros_like(more)], dim=1)
    with torch.inference_mode():
        logprobs = engine.network.model(**inputs, use_cache=False).logits[0].float().log_softmax(-1)
    return torch.stack([logprobs[length - 1 + place, token] for place, token in enumerate(tokens)])


@pytest.mark.parametrize(
    ("frames", "kind", "start"), [(3, "video", ""), (1, "video", START), (1, "image", "")]
)
def test_an_answer_is_that_of_plain_transformers(
    engine: FamilyEngine, frames: int, kind: str, start: str
) -> None:
    clip = clip_of(frames, seed=frames, kind=kind)
    expected = plain_answer(engine, clip, 24, start)
    pieces: list[str] = []
    with engine.open(clip) as session:
        answer = session.generate(QUESTION, max_new_tokens=24, answer_start=start, on_token=pieces.append)
        assert session.notes == []
    assert answer.tokens == expected
    assert len(set(expected)) > 1, "random weights say something that can differ"
    decoded = engine.network.processor.tokenizer.decode(expected, skip_special_tokens=True)
    assert "".join(pieces) == answer.text == decoded
    assert answer.stopped == ("eos" if len(expected) < 24 else "length")


@pytest.mark.parametrize("start", ["", START])
def test_scores_are_those_of_a_plain_pass(engine: FamilyEngine, session: FamilySession, start: str) -> None:
    plain = [plain_score(engine, session.clip, text, start) for text in TEXTS]
    means, sums = (session.score(QUESTION, TEXTS, answer_start=start, reduce=how) for how in ("mean", "sum"))
    assert means == pytest.approx([float(own.mean()) for own in plain], abs=1e-4)
    assert sums == pytest.approx([float(own.sum()) for own in plain], abs=1e-3)
    assert session.score(QUESTION, [" x"], answer_start=start) == pytest.approx([means[2]], abs=1e-4)


def test_an_answer_scores_what_its_log_probabilities_say(session: FamilySession) -> None:
    answer = session.generate(QUESTION, max_new_tokens=1)
    (plain,) = answer.logprobs
    assert plain <= 0
    text = session._network.processor.tokenizer.decode(answer.tokens)
    if session._network.processor.continuation(text) == answer.tokens:
        assert session.score(QUESTION, [text])[0] == pytest.approx(plain, abs=1e-4)


def test_the_pictures_matter(engine: FamilyEngine, session: FamilySession) -> None:
    with engine.open(clip_of(3, seed=9)) as other:
        assert other.score(QUESTION, TEXTS) != pytest.approx(session.score(QUESTION, TEXTS), abs=1e-3)


def test_moments_are_clips_of_one_frame(engine: FamilyEngine, session: FamilySession) -> None:
    found = session.score_moments(QUESTION, TEXTS, answer_start=START)
    assert np.shape(found) == (len(TEXTS), 3)
    for place in range(3):
        with engine.open(session.clip.take([place])) as alone:
            scores = alone.score(QUESTION, TEXTS, answer_start=START)
        assert [row[place] for row in found] == pytest.approx(scores, abs=1e-4)


def test_frames_have_vectors(engine: FamilyEngine, session: FamilySession) -> None:
    assert isinstance(engine, EncodesFrames)
    vectors = session.frame_vectors()
    assert vectors.shape == (3, engine.frame_dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(engine.encode_frames(session.clip.frames[1:2])[0], vectors[1], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-4)


CALLS: dict[str, Callable[[FamilySession], Any]] = {
    "another question": lambda session: session.generate("And the margin?", max_new_tokens=5),
    "the same question": lambda session: session.generate(QUESTION, max_new_tokens=3),
    "drawn": lambda session: session.generate(QUESTION, max_new_tokens=4, temperature=1.3, seed=1),
    "scores": lambda session: session.score(QUESTION, TEXTS, answer_start=START),
    "moments": lambda session: session.score_moments(QUESTION, TEXTS),
    "cancelled": lambda session: session.generate("Stop?", cancelled=lambda: True),
    "refused": lambda session: pytest.raises(InputError, session.generate, "long " * 3000),
    "another clip": lambda session: FamilySession(session._network, clip_of(2, seed=5)).generate(
        QUESTION, max_new_tokens=3
    ),
}


def test_no_call_changes_an_answer(engine: FamilyEngine) -> None:
    def answered() -> tuple[Generation, list[float]]:
        return session.generate(QUESTION, max_new_tokens=8), session.score(QUESTION, TEXTS)

    with engine.open(clip_of(2)) as session:
        first, scores = answered()
        for name, call in CALLS.items():
            call(session)
            again, same = answered()
            assert (again.tokens, again.logprobs, same) == (first.tokens, first.logprobs, scores), name


def test_the_pictures_are_encoded_once(engine: FamilyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    network, fed = type(engine.network), []
    forward = network._forward
    monkeypatch.setattr(
        network,
        "_forward",
        lambda self, tokens, *rest: (
            fed.append(("pixel_values" in rest[-1], *tokens.shape)) or forward(self, tokens, *rest)
        ),
    )
    with engine.open(clip_of(3)) as session:
        session.generate(QUESTION, max_new_tokens=2, answer_start=START)
        session.score(QUESTION, TEXTS, answer_start=START)
        session.score("Another?", TEXTS)
    assert [pictures for pictures, *_ in fed] == [True, *[False] * (len(fed) - 1)]
    rows = [rows for _, rows, _ in fed]
    if engine.network.cache_use == "rewound":
        assert rows[-3:] == [3, 1, 3], "candidates are one batch; their question is fed once"
    else:
        assert set(rows) == {1}, "each candidate continues a copy"


def test_an_answer_is_drawn_by_its_seed_and_ends_when_cancelled(session: FamilySession) -> None:
    drawn = [
        session.generate(QUESTION, max_new_tokens=10, temperature=1.5, top_p=0.95, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert drawn[0].tokens == drawn[1].tokens != drawn[2].tokens
    asked: list[int] = []
    stopped = session.generate(QUESTION, cancelled=lambda: len(asked) == 2 or asked.append(1))
    assert (stopped.stopped, len(stopped.tokens)) == ("cancelled", 2)


def test_a_session_is_busy_then_closed(engine: FamilyEngine) -> None:
    session = engine.open(clip_of(1))
    with pytest.raises(EngineError, match="another question"):
        session.generate(QUESTION, on_token=lambda piece: session.score(QUESTION, TEXTS))
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.generate(QUESTION)


def test_what_is_known_of_the_engine(engine: FamilyEngine) -> None:
    info = engine.info
    assert (info.wording, info.scoring, info.layout) == ("plain", "token probabilities", "transformers")
    assert (info.frames, info.licence, info.name) == (8, "not stated", Path(info.source).name)
    assert info.weights_sha256 == sha256_file(Path(info.source) / "model.safetensors")
    assert info.parameters > 1000


def test_marks_in_a_question_are_text(engine: FamilyEngine, session: FamilySession) -> None:
    marks = RECIPES[engine.network.model.config.model_type].marks
    dirty = f"What{marks[0]} is {marks[1][:2]}{marks[2]}{marks[1][2:]}this{marks[-1]}?"
    assert session.prompt(dirty) == session.prompt("What is this?")
    assert session.score(dirty, TEXTS) == session.score("What is this?", TEXTS)
    for call in (lambda: session.generate("gland\udcff"), lambda: session.score(QUESTION, ["gland\udcff"])):
        with pytest.raises(InputError, match="not valid"):
            call()
    with pytest.raises(InputError, match="empty"):
        session.score(QUESTION, [" a", ""])
    assert session.score(QUESTION, []) == []
