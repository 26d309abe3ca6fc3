"""The engine's promises: one prefix, many answers, none of which depends on the others."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videopath.core.errors import EngineError, InputError, ModelError
from videopath.core.files import sha256_file
from videopath.media.clip import Clip
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network, new_network
from videopath.model.card import Card
from videopath.model.checkpoints.weights_hash import weights_sha256
from videopath.model.inference.decoding import TextStream, TokenSampler
from videopath.model.inference.engine import EngineInfo, LocalEngine
from videopath.model.inference.loading import load_engine
from videopath.model.inference.prefix import Prefix
from videopath.model.inference.session import LocalSession
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.template import build_prompt, tokenise
from videopath.training.scratch.tokenizer import train_tokenizer

QUESTION = "What is the best diagnosis for this colon tissue?"
START = "Diagnosis:"
CANDIDATES = [" colon adenocarcinoma\n", " benign colon tissue\n", " x", " lung squamous cell carcinoma\n"]
SAMPLE = "Irregular glands with crowded, dark nuclei: colon adenocarcinoma. Benign colon tissue, naïve façade, 組織 🔬."

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def small_network(newline: str = "grid", max_length: int = 2048) -> Network:
    """A random network whose greedy answers vary and end at various lengths."""
    config = LlavaConfig(
        text_config={
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": max_length,
            "rope_theta": 1e6,
            "initializer_range": 0.25,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 60,
            "patch_size": 12,
        },
        newline_position=newline,
        pinpoints=((60, 120), (120, 60), (120, 120)),
        max_length=max_length,
        repetition_penalty=1.05,
    )
    return new_network(config, train_tokenizer([SAMPLE], 300), seed=3)


def clip_of(frames: int, seed: int = 0, kind: str = "video") -> Clip:
    """Noise, which no two frames share."""
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, 50, 70, 3), dtype=np.uint8)
    places = np.arange(frames)
    return Clip(
        path=Path("noise.mp4"),
        frames=pixels,
        seconds=places.astype(np.float64),
        indices=places,
        fps=1.0,
        duration=float(frames),
        width=70,
        height=50,
        total_frames=frames,
        sha256="0" * 64,
        sampling="uniform",
        kind=kind,
        reader="decord",
    )


@pytest.fixture(scope="module")
def network() -> Network:
    return small_network()


@pytest.fixture(scope="module")
def session(network: Network) -> LocalSession:
    """One session for all tests that only ask: that they do not disturb each other is part of the promise."""
    return LocalSession(network, clip_of(4))


def plain_embeds(network: Network, clip: Clip, question: str, answer_start: str = "") -> torch.Tensor:
    """The whole prompt ``[1, L, hidden]`` by the network's own one-call path."""
    pixels = network.prepare(clip.frames, "image" if clip.kind == "image" else "video")
    size = (clip.frames.shape[2], clip.frames.shape[1])
    block = network.image_embeds(pixels, size) if clip.kind == "image" else network.video_embeds(pixels)
    return network.embed(
        tokenise(network.tokenizer, build_prompt(question, answer_start=answer_start)), [block]
    )


@torch.inference_mode()
def plain_answer(
    network: Network, clip: Clip, question: str, most: int, answer_start: str = ""
) -> tuple[list[int], list[torch.Tensor]]:
    """Greedy ids and the logits of each step, everything computed anew for every token."""
    embeds = plain_embeds(network, clip, question, answer_start)
    sampler = TokenSampler(0.0, 1.0, network.config.repetition_penalty)
    tokens: list[int] = []
    logits: list[torch.Tensor] = []
    while len(tokens) < most and (not tokens or tokens[-1] not in network.config.eos_token_ids):
        row = torch.cat([embeds, network.embed(tokens, [])], dim=1) if tokens else embeds
        logits.append(network.decode(row, use_cache=False)[0][0, -1])
        tokens.append(sampler.choose(logits[-1], tokens, torch.Generator()))
    return tokens, logits


@torch.inference_mode()
def plain_score(
    network: Network, clip: Clip, question: str, text: str, answer_start: str = ""
) -> torch.Tensor:
    """Log-probabilities of a text's tokens, by one plain pass over prompt and text."""
    prompt = plain_embeds(network, clip, question, answer_start)
    ids = network.tokenizer(text)["input_ids"]
    row = torch.cat([prompt, network.embed(ids, [])], dim=1)
    logprobs = network.decode(row, use_cache=False)[0][0].log_softmax(-1)
    return torch.stack([logprobs[prompt.shape[1] - 1 + place, token] for place, token in enumerate(ids)])


@pytest.mark.parametrize("newline", ["grid", "frame", "one_token", "no_token"])
@pytest.mark.parametrize(("frames", "kind"), [(1, "video"), (9, "video"), (1, "image")])
def test_cached_equals_uncached(newline: str, frames: int, kind: str) -> None:
    network, clip = small_network(newline), clip_of(frames, kind=kind)
    expected, logits = plain_answer(network, clip, QUESTION, 24, START)
    with torch.inference_mode():
        prefix = Prefix(network, clip)
        found = [prefix.ask(QUESTION, START), *(prefix.step(token) for token in expected[:-1])]
    for step, plain in zip(found, logits, strict=True):
        torch.testing.assert_close(step, plain, atol=1e-4, rtol=0)
    with LocalSession(network, clip) as session:
        answer = session.generate(QUESTION, max_new_tokens=24, answer_start=START)
    assert answer.tokens == expected
    own = [float(row.log_softmax(-1)[token]) for row, token in zip(logits, expected, strict=True)]
    assert answer.logprobs == pytest.approx(own, abs=1e-4)


def test_a_long_answer_outgrows_the_first_buffer(network: Network) -> None:
    question = QUESTION + " glands" * 300
    clip = clip_of(2)
    with LocalSession(network, clip) as session:
        answer = session.generate(question, max_new_tokens=300)
    assert answer.tokens[:3] == plain_answer(network, clip, question, 3)[0]
    assert len(answer.tokens) == 300
    assert answer.stopped == "length"


@few
@given(texts=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_a_batch_scores_as_one_at_a_time(network: Network, session: LocalSession, texts: list[str]) -> None:
    together = session.score(QUESTION, texts, answer_start=START)
    alone = [session.score(QUESTION, [text], answer_start=START)[0] for text in texts]
    plain = [float(plain_score(network, session.clip, QUESTION, text, START).mean()) for text in texts]
    assert together == pytest.approx(alone, abs=1e-4)
    assert together == pytest.approx(plain, abs=1e-4)


def test_scores_are_reduced_as_asked(network: Network, session: LocalSession) -> None:
    means = session.score(QUESTION, CANDIDATES)
    sums = session.score(QUESTION, CANDIDATES, reduce="sum")
    lengths = [len(network.tokenizer(text)["input_ids"]) for text in CANDIDATES]
    assert sums == pytest.approx(
        [mean * length for mean, length in zip(means, lengths, strict=True)], abs=1e-3
    )
    assert session.score(QUESTION, []) == []
    with pytest.raises(InputError, match="empty"):
        session.score(QUESTION, [" a", ""])
    with pytest.raises(InputError, match="median"):
        session.score(QUESTION, CANDIDATES, reduce="median")


def test_more_texts_than_fit_into_one_pass_are_scored_all_the_same() -> None:
    tight = small_network(max_length=300)
    texts = [f" candidate number {number}, glands" for number in range(40)]
    with LocalSession(tight, clip_of(2)) as session:
        together, moments = session.score(QUESTION, texts), session.score_moments(QUESTION, texts)
        assert together == pytest.approx([session.score(QUESTION, [text])[0] for text in texts], abs=1e-4)
        for text, row in zip(texts, moments, strict=True):
            assert row == pytest.approx(session.score_moments(QUESTION, [text])[0], abs=1e-4)
        for call in (session.score, session.score_moments):
            with pytest.raises(InputError, match="fit after the question"):
                call(QUESTION, [" x", " glands" * 200])
        assert session.score(QUESTION, texts) == together


def test_half_characters_are_said(session: LocalSession) -> None:
    with pytest.raises(InputError, match="not valid"):
        session.generate("gland\udcff")
    with pytest.raises(InputError, match="not valid"):
        session.score(QUESTION, ["gland\udcff"])
    with pytest.raises(InputError, match="seed"):
        session.generate(QUESTION, temperature=1.0, seed=1 << 64)


def test_a_greedy_answer_scores_what_its_logprobs_say(network: Network, session: LocalSession) -> None:
    answer = session.generate(QUESTION, max_new_tokens=1)
    text = network.tokenizer.decode(answer.tokens)
    if network.tokenizer(text)["input_ids"] == answer.tokens:
        assert session.score(QUESTION, [text])[0] == pytest.approx(answer.logprobs[0], abs=1e-4)


CALLS = {
    "generate": lambda session: session.generate("And the margin?", max_new_tokens=5),
    "same question": lambda session: session.generate(QUESTION, max_new_tokens=3),
    "sample": lambda session: session.generate(QUESTION, max_new_tokens=4, temperature=1.3, seed=1),
    "score": lambda session: session.score(QUESTION, CANDIDATES, answer_start=START),
    "score without start": lambda session: session.score(QUESTION, CANDIDATES),
    "moments": lambda session: session.score_moments(QUESTION, CANDIDATES),
    "cancel": lambda session: session.generate("Stop?", cancelled=lambda: True),
    "refused": lambda session: pytest.raises(InputError, session.generate, "long " * 5000),
}


@few
@given(calls=st.lists(st.sampled_from(sorted(CALLS)), max_size=6))
def test_the_first_question_is_answered_as_at_first(network: Network, calls: list[str]) -> None:
    with LocalSession(network, clip_of(3)) as session:
        first = session.generate(QUESTION, max_new_tokens=12)
        scores = session.score(QUESTION, CANDIDATES)
        for name in calls:
            CALLS[name](session)
        again = session.generate(QUESTION, max_new_tokens=12)
        assert again.tokens == first.tokens
        assert again.logprobs == first.logprobs
        assert session.score(QUESTION, CANDIDATES) == scores


def test_the_tower_runs_once_and_a_question_is_prefilled_once(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, decoded = [], []
    encode, decode = Network.encode_at_depths, Network.decode
    monkeypatch.setattr(
        Network, "encode_at_depths", lambda self, x: encoded.append(len(x)) or encode(self, x)
    )
    monkeypatch.setattr(
        Network, "decode", lambda self, x, *a, **k: decoded.append(x.shape[1]) or decode(self, x, *a, **k)
    )
    with LocalSession(network, clip_of(5)) as session:
        decoded.clear()
        session.generate(QUESTION, max_new_tokens=3, answer_start=START)
        tail = decoded[0]
        session.score(QUESTION, CANDIDATES, answer_start=START)
        session.score_moments(QUESTION, CANDIDATES, answer_start=START)
    packed = sum(len(network.tokenizer(text)["input_ids"]) - 1 for text in CANDIDATES)
    assert encoded == [5]
    assert decoded[:4] == [tail, 1, 1, packed]
    assert len(decoded) == 5


@pytest.mark.parametrize("newline", ["grid", "one_token"])
def test_a_moment_is_a_clip_of_one_frame(newline: str) -> None:
    network, clip = small_network(newline), clip_of(3)
    with LocalSession(network, clip) as session:
        found = session.score_moments(QUESTION, CANDIDATES, answer_start=START)
    assert np.shape(found) == (len(CANDIDATES), 3)
    for place in range(3):
        with LocalSession(network, clip.take([place])) as one:
            assert [row[place] for row in found] == pytest.approx(
                one.score(QUESTION, CANDIDATES, answer_start=START), abs=1e-4
            )


def test_an_image_has_one_moment(network: Network) -> None:
    with LocalSession(network, clip_of(1, kind="image")) as session:
        found = session.score_moments(QUESTION, CANDIDATES)
        scores = session.score(QUESTION, CANDIDATES)
    assert [row[0] for row in found] == pytest.approx(scores, abs=1e-4)


@few
@given(question=st.text(min_size=1, max_size=40))
def test_streamed_text_is_the_final_text(network: Network, session: LocalSession, question: str) -> None:
    pieces: list[str] = []
    answer = session.generate(question, max_new_tokens=20, on_token=pieces.append)
    assert "".join(pieces) == answer.text == network.tokenizer.decode(answer.tokens, skip_special_tokens=True)
    assert all(pieces)


@few
@given(data=st.data())
def test_pieces_never_split_a_character(network: Network, data: st.DataObject) -> None:
    text = data.draw(st.text(max_size=30))
    stream = TextStream(network.tokenizer)
    pieces = [stream.push(token) for token in network.tokenizer(text)["input_ids"]]
    assert "".join([*pieces, stream.flush()]) == network.tokenizer.decode(
        network.tokenizer(text)["input_ids"]
    )
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)
    tokens = data.draw(st.lists(st.integers(0, len(network.tokenizer) - 1), max_size=30))
    noise = [stream.push(token) for token in tokens]
    assert "".join([*noise, stream.flush()]) == network.tokenizer.decode(tokens, skip_special_tokens=True)


def test_seeds_reproduce_and_leave_the_global_generator_alone(session: LocalSession) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    answers = [
        session.generate(QUESTION, max_new_tokens=16, temperature=1.5, top_p=0.95, seed=seed)
        for seed in (1, 1, 2)
    ]
    session.generate(QUESTION, max_new_tokens=2, temperature=1.0)
    assert torch.equal(torch.rand(1), expected)
    assert answers[0].tokens == answers[1].tokens != answers[2].tokens
    greedy = session.generate(QUESTION, max_new_tokens=16)
    assert (
        session.generate(QUESTION, max_new_tokens=16, temperature=2.0, top_p=1e-9, seed=3).tokens
        == greedy.tokens
    )


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generator = torch.Generator().manual_seed(0)
    chosen = [TokenSampler(1.0, 0.75, 1.0).choose(logits, [], generator) for _ in range(300)]
    assert set(chosen) == {0, 1}
    assert 0.5 < chosen.count(0) / 300 < 0.75  # 0.5 / 0.8


def test_the_penalty_falls_on_the_answers_own_tokens() -> None:
    logits = torch.tensor([2.0, 1.9, -1.0])
    sampler = TokenSampler(0.0, 1.0, 1.1)
    assert sampler.choose(logits, [], torch.Generator()) == 0
    assert sampler.choose(logits, [0, 0], torch.Generator()) == 1
    assert logits.tolist() == pytest.approx([2.0, 1.9, -1.0])
    assert sampler.choose(torch.tensor([-1.05, -1.0]), [1], torch.Generator()) == 0


def test_cancellation_stops_between_tokens(session: LocalSession) -> None:
    heard: list[str] = []
    whole = session.generate(QUESTION, max_new_tokens=20)
    asked = iter(range(100))
    part = session.generate(
        QUESTION, max_new_tokens=20, on_token=heard.append, cancelled=lambda: next(asked) == 4
    )
    assert part.stopped == "cancelled"
    assert part.tokens == whole.tokens[:4]
    assert part.text == "".join(heard)
    assert session.generate(QUESTION, cancelled=lambda: True).tokens == []


def test_an_answer_ends_at_the_end_token(network: Network, session: LocalSession) -> None:
    whole = session.generate(QUESTION, max_new_tokens=20)
    end = whole.tokens[6]
    own = Network(replace(network.config, eos_token_ids=(end,)), network.tokenizer, network.model)
    with LocalSession(own, session.clip) as ending:
        answer = ending.generate(QUESTION, max_new_tokens=20)
    assert answer.stopped == "eos"
    assert answer.tokens == whole.tokens[: whole.tokens.index(end) + 1]
    assert answer.seconds > 0


def test_too_long_for_the_context(network: Network) -> None:
    with LocalSession(network, clip_of(2)) as session:
        with pytest.raises(InputError, match="Shorten the question"):
            session.generate("x" * 100_000)
        with pytest.raises(InputError, match="Shorten the question"):
            session.score_moments("glands " * 20_000, CANDIDATES)
        with pytest.raises(InputError, match="max_new_tokens"):
            session.generate(QUESTION, max_new_tokens=0)
        with pytest.raises(InputError, match="temperature"):
            session.generate(QUESTION, temperature=-1.0)
        with pytest.raises(InputError, match="top_p"):
            session.generate(QUESTION, top_p=0.0)
    tight = small_network(max_length=200)
    with pytest.raises(InputError, match="Use fewer frames"):
        LocalSession(tight, clip_of(30))
    with LocalSession(tight, clip_of(3)) as session:
        assert session.generate(QUESTION, max_new_tokens=500).stopped == "length"


def memory_for(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """A GPU whose memory ends in the tower above so many frames (the one thing that no CPU can show)."""
    encode = Network.encode_at_depths

    def limited(self: Network, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > frames:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, pixels)

    monkeypatch.setattr(Network, "encode_at_depths", limited)


def test_out_of_memory_halves_the_frames_and_says_so(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clip_of(7)
    memory_for(monkeypatch, 2)
    with LocalSession(network, clip) as session:
        assert session.clip.indices.tolist() == [0]
        assert session.notes == [
            "Out of memory on cpu: 3 of 7 frames are used.",
            "Out of memory on cpu: 1 of 3 frames are used.",
        ]
        assert session.generate(QUESTION, max_new_tokens=4).tokens
    memory_for(monkeypatch, 0)
    with pytest.raises(EngineError, match="even one frame") as caught:
        LocalSession(network, clip)
    assert caught.value.retryable


def test_out_of_memory_in_a_later_call(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    session = LocalSession(network, clip_of(4))
    decode, failures = Network.decode, [True]

    def once(self: Network, embeds: torch.Tensor, *rest: object, **named: object) -> object:
        if failures and failures.pop():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(self, embeds, *rest, **named)

    monkeypatch.setattr(Network, "decode", once)
    answer = session.generate(QUESTION, max_new_tokens=6)
    assert len(session.clip) == 2
    with LocalSession(network, clip_of(4).take([0, 2])) as smaller:
        assert smaller.generate(QUESTION, max_new_tokens=6).tokens == answer.tokens
    failures[:] = [True, False]  # the question goes through, the first token does not
    with pytest.raises(EngineError, match="middle of an answer") as caught:
        session.generate("Another question?", max_new_tokens=6)
    assert caught.value.retryable
    assert session.generate(QUESTION, max_new_tokens=6).tokens == answer.tokens


def test_one_call_at_a_time_and_none_after_closing(network: Network) -> None:
    with LocalSession(network, clip_of(2)) as session:
        with pytest.raises(EngineError, match="another question"):
            session.generate(QUESTION, on_token=lambda piece: session.score(QUESTION, CANDIDATES))
        assert session.generate(QUESTION, max_new_tokens=2).tokens
    with pytest.raises(EngineError, match="closed"):
        session.generate(QUESTION)


def test_numbers_that_are_none_are_no_answer() -> None:
    broken = small_network()
    with torch.no_grad():
        broken.model.lm_head.weight[7] = float("nan")
    with LocalSession(broken, clip_of(1)) as session:
        for call in (session.generate, lambda question: session.score(question, CANDIDATES)):
            with pytest.raises(EngineError, match="not finite"):
                call(QUESTION)


GOLDEN_VIDEOS = [
    "video4_grid",
    "video4_one_token",
    "video4_frame",
    "video4_no_token",
    "video8_one_token",
    "video1_grid",
]


@pytest.mark.parametrize("case", GOLDEN_VIDEOS)
def test_answers_are_the_originals(shared: Path, case: str) -> None:
    """Greedy ids of the reference, with the checkpoint's repetition penalty on new tokens only."""
    from videopath.model.checkpoints.loading import load_network

    golden = shared / "golden" / "tiny"
    meta = json.loads((golden / "meta.json").read_text())[case]
    arrays = np.load(golden / f"{case}.npz")
    loaded = load_network(
        EngineSpec(shared / "golden" / "ckpt" / "tiny" / "full", device="cpu", dtype="float32")
    )
    network = Network(
        replace(loaded.config, newline_position=meta["mm_newline_position"]), loaded.tokenizer, loaded.model
    )
    # the frames after the resize, so that any Pillow will do: resizing them again is a copy
    clip = clip_of(len(arrays["pixel_u8_0"]))
    clip = replace(clip, frames=np.ascontiguousarray(arrays["pixel_u8_0"].transpose(0, 2, 3, 1)))
    question = meta["prompt"].split("<image>\n")[1].split("<|im_end|>")[0]
    assert build_prompt(question) == meta["prompt"]
    with LocalSession(network, clip) as session:
        answer = session.generate(question, max_new_tokens=len(arrays["gen_ids"]))
    assert answer.tokens == arrays["gen_ids"].tolist()


def test_a_folder_becomes_an_engine(tmp_path: Path, network: Network) -> None:
    from videopath.model.checkpoints.saving import save_original

    folder = save_original(network, tmp_path / "small", dtype=torch.float32)
    bare = load_engine(folder, device="cpu").info
    assert (bare.name, bare.frames, bare.licence, bare.card) == ("small", 32, "not stated", Card())
    assert bare.parameters == sum(weight.numel() for weight in network.parameters())
    assert bare.weights_sha256 == sha256_file(folder / "model.safetensors")
    assert (bare.layout, bare.device, bare.dtype) == ("original", "cpu", "float32")
    card = {
        "name": "Small",
        "frames": 4,
        "licence": "own",
        "labels": {"colon": ["benign"]},
        "score_reduction": "sum",
    }
    (folder / "videopath.json").write_text(json.dumps(card))
    engine = load_engine(str(folder), device="cpu")
    assert (engine.info.name, engine.info.frames, engine.info.licence) == ("Small", 4, "own")
    assert engine.info.card == Card(labels={"colon": ["benign"]}, score_reduction="sum")
    assert EngineInfo.model_validate(json.loads(json.dumps(engine.info.model_dump()))) == engine.info
    with engine.open(clip_of(3)) as session, LocalSession(network, clip_of(3)) as before:
        assert (
            session.generate(QUESTION, max_new_tokens=9).tokens
            == before.generate(QUESTION, max_new_tokens=9).tokens
        )
    (folder / "videopath.json").write_text('{"frames": 0}')
    with pytest.raises(ModelError, match="frames"):
        load_engine(folder)


def test_opening_a_clip_tells_its_frames_and_can_be_ended(nano_engine: LocalEngine) -> None:
    told: list[tuple[int, int]] = []
    with nano_engine.open(clip_of(20), on_frames=lambda done, total: told.append((done, total))) as session:
        heard = session.generate(QUESTION, max_new_tokens=4).tokens
    assert told == [(8, 20), (16, 20), (20, 20)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nano_engine.open(clip_of(20), on_frames=stop)
    with nano_engine.open(clip_of(20)) as session:
        assert session.generate(QUESTION, max_new_tokens=4).tokens == heard


def test_an_adapter_becomes_an_engine_with_its_base(shared: Path) -> None:
    tiny = shared / "golden/ckpt/tiny"
    adapter = tiny / "lora/llava-qwen-lora-peft04-classic"
    with pytest.raises(ModelError, match="model merge"):
        load_engine(adapter, device="cpu")
    engine = load_engine(adapter, base=tiny / "full", device="cpu")
    assert engine.info.layout == "lora"
    with engine.open(clip_of(2)) as session:
        assert session.generate(QUESTION, max_new_tokens=3).tokens


def test_what_is_no_engine_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither"):
        load_engine("no such model")
    with pytest.raises(ModelError, match="config.json"):
        load_engine(tmp_path)


def test_the_hash_of_several_files_is_that_of_their_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "b.safetensors", tmp_path / "a.safetensors"]
    for file in files:
        file.write_bytes(file.name.encode())
    lines = [
        f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n"
        for name in ("a.safetensors", "b.safetensors")
    ]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert weights_sha256(files) == expected
    monkeypatch.setattr("videopath.model.checkpoints.weights_hash._REMEMBERED_FROM", 0)
    assert weights_sha256(files) == weights_sha256(files) == expected
    files[0].write_bytes(b"changed, and longer")
    assert weights_sha256(files) != expected


def test_nano(nano_engine: LocalEngine) -> None:
    info = nano_engine.info
    assert info.card.labels
    assert info.frames <= 32
    assert info.parameters < 20_000_000
    with nano_engine.open(clip_of(info.frames)) as session:
        answer = session.generate(QUESTION, max_new_tokens=12)
        assert answer.tokens == plain_answer(nano_engine.network, session.clip, QUESTION, 12)[0]


def test_the_protocol_needs_no_torch() -> None:
    code = "import sys, videopath.model.inference.engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
