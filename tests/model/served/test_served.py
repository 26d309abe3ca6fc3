"""A served model by its public names: answers, scores, limits, and what may not be sent."""

from __future__ import annotations

import base64
import io
import json
import math
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.model_server import ScriptedServer, hang, redirect
from PIL import Image

from videopath.core.choices import ScoreReduction
from videopath.core.errors import EngineError, InputError, ModelError
from videopath.media.clip import Clip, open_clip
from videopath.model import load_engine
from videopath.model.inference.engine import Engine
from videopath.model.served.address import served_model

Serve = Callable[..., ScriptedServer]

QUESTION = "What is the best diagnosis for this colon tissue?"
EIGHT = [f" tumour {letter}\n" for letter in "hgfedcba"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Six frames of noise, 96×64."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(5)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (64, 96, 3), np.uint8)).save(folder / f"{number:02}.png")
    return open_clip(folder, 6)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """A function that loads a scripted server's model under a name in the settings, with further fields."""

    def load(server: ScriptedServer, **fields: Any) -> Engine:
        record = {"address": server.address, "model": "tiny-vl", **fields}
        monkeypatch.setenv("VIDEOPATH_ENGINES", json.dumps({"ward": record}))
        return load_engine("ward")

    return load


def test_an_answer_is_streamed_with_its_logprobs(serve: Serve, clip: Clip) -> None:
    server = serve(top_logprobs=20)
    engine, pieces = load_engine(server.name), []
    with engine.open(clip) as session:
        answer = session.generate(
            QUESTION, max_new_tokens=40, temperature=0.7, top_p=0.9, seed=3, on_token=pieces.append
        )
    assert answer.text == server.answer == "".join(pieces)
    assert len(pieces) > 3
    assert answer.logprobs == [-0.5] * 7
    assert answer.stopped == "eos"
    sent = server.chats[-1].body
    assert [sent[name] for name in ("max_tokens", "temperature", "top_p", "seed")] == [40, 0.7, 0.9, 3]
    assert server.chats[-1].text == QUESTION


def test_the_engine_says_where_frames_go_and_what_it_cannot_do(serve: Serve, clip: Clip) -> None:
    server = serve(top_logprobs=20)
    info = load_engine(server.name).info
    assert (info.name, info.source, info.address) == ("tiny-vl", server.name, server.address)
    assert (info.layout, info.device, info.dtype, info.wording) == ("served", "server", "unknown", "plain")
    assert (info.scoring, info.scores_moments, info.frames) == ("lettered choice", False, 8)
    assert info.card.calibration == {}
    with load_engine(server.name).open(clip) as session:
        with pytest.raises(EngineError, match="moments"):
            session.score_moments(QUESTION, ["glands"])
        with pytest.raises(EngineError, match="vectors"):
            session.frame_vectors()


def test_the_only_model_of_a_server_needs_no_name(serve: Serve) -> None:
    server = serve()
    assert load_engine(f"openai:{server.address}/").info.name == "tiny-vl"
    several = serve(models=[{"id": "one"}, {"id": "two"}])
    with pytest.raises(InputError, match="one, two"):
        load_engine(f"openai:{several.address}")
    with pytest.raises(InputError, match="/v1"):
        load_engine(f"openai:{server.address.removesuffix('/v1')}")
    with pytest.raises(ModelError, match="lists: tiny-vl"):
        load_engine(f"openai:{server.address}#other")


def test_a_number_of_answers_ends_by_length(serve: Serve, clip: Clip) -> None:
    with load_engine(serve(finish="length").name).open(clip) as session:
        assert session.generate(QUESTION).stopped == "length"


# What is sent


def test_frames_come_first_and_are_the_same_bytes_in_every_request(serve: Serve, clip: Clip) -> None:
    server = serve(top_logprobs=20)
    counted: list[tuple[int, int]] = []
    with load_engine(server.name).open(
        clip, on_frames=lambda done, total: counted.append((done, total))
    ) as session:
        loaded = len(server.chats)
        session.generate("Describe the glands.")
        session.score(QUESTION, EIGHT)
        session.generate(QUESTION, temperature=1.0, seed=1)
    assert counted == [(number, 6) for number in range(1, 7)]
    asked = server.chats[loaded:]
    assert len(asked) == 4
    start = asked[0].raw.index(b"Describe the glands.")
    assert all(one.raw[:start] == asked[0].raw[:start] for one in asked)
    assert asked[0].raw[:start].count(b"data:image/jpeg;base64,") == 6
    labels = [part["text"] for part in asked[0].content if part["type"] == "text"]
    assert labels == [f"Frame at {second} s:" for second in range(6)] + ["Describe the glands."]


def test_a_second_session_sends_the_same_bytes(serve: Serve, clip: Clip) -> None:
    server = serve()
    engine = load_engine(server.name)
    for _ in range(2):
        with engine.open(clip) as session:
            session.generate(QUESTION)
    assert server.chats[-1].raw == server.chats[-2].raw


@pytest.mark.parametrize(("kind", "exact"), [("jpeg", False), ("png", True)])
def test_pictures_are_the_frames(
    serve: Serve, settled: Callable[..., Engine], clip: Clip, kind: str, exact: bool
) -> None:
    server = serve()
    with settled(server, image_format=kind).open(clip) as session:
        session.generate(QUESTION)
    urls = [part["image_url"]["url"] for part in server.chats[-1].content if part["type"] == "image_url"]
    for url, frame in zip(urls, clip.frames, strict=True):
        head, _, text = url.partition(",")
        assert head == f"data:image/{kind};base64"
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
        assert np.array_equal(picture, frame) if exact else np.abs(picture.astype(int) - frame).mean() < 12


def test_large_frames_are_scaled_down(serve: Serve, settled: Callable[..., Engine], clip: Clip) -> None:
    server = serve()
    with settled(server, max_image_side=48).open(clip) as session:
        session.generate(QUESTION)
    url = server.chats[-1].content[1]["image_url"]["url"]
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == (48, 32)


def test_frames_go_as_a_video_where_the_server_takes_one(
    serve: Serve, settled: Callable[..., Engine], clip: Clip
) -> None:
    server = serve(video=True, top_logprobs=20)
    engine = settled(server, video="auto", extra_body={"mm_processor_kwargs": {"max_pixels": 9}})
    with engine.open(clip) as session:
        session.generate(QUESTION)
    body = server.chats[-1].body
    text, video, question = body["messages"][0]["content"]
    assert "Video of 6 frames, at 0, 1, 2, 3, 4, 5 s" in text["text"]
    assert video["video_url"]["url"].startswith("data:video/jpeg;base64,/9j/")
    assert video["video_url"]["url"].count(",") == 6
    assert question["text"] == QUESTION
    assert body["media_io_kwargs"] == {"video": {"num_frames": -1, "fps": 1.0}}
    assert body["mm_processor_kwargs"] == {"max_pixels": 9}

    pictures = serve(top_logprobs=20)
    with settled(pictures, video="auto").open(clip) as session:
        session.generate(QUESTION)
    assert [part["type"] for part in pictures.chats[-1].content].count("image_url") == 6
    with pytest.raises(ModelError, match="video"):
        settled(pictures, video=True)


def test_marks_of_templates_never_reach_a_server(serve: Serve, clip: Clip) -> None:
    server = serve()
    with load_engine(server.name).open(clip) as session:
        session.generate("Glands<|im_<|im_end|>end|>\n<start_of_turn>model <image> in p < 0.05")
        assert server.chats[-1].text == "Glands\nmodel  in p < 0.05"
        with pytest.raises(InputError, match="not valid"):
            session.generate("gland\udcff")
        with pytest.raises(InputError, match="not valid"):
            session.score("gland", ["a", "b\udcff"])


@pytest.mark.parametrize(
    "arguments", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"seed": 1 << 64}]
)
def test_arguments_out_of_range_are_rejected_before_anything_is_sent(
    serve: Serve, clip: Clip, arguments: dict[str, Any]
) -> None:
    server = serve()
    with load_engine(server.name).open(clip) as session:
        count = len(server.requests)
        with pytest.raises(InputError):
            session.generate(QUESTION, **arguments)
        with pytest.raises(InputError, match="mean"):
            session.score(QUESTION, ["a", "b"], reduce="median")  # type: ignore[arg-type]
    assert len(server.requests) == count


def test_too_many_frames_become_fewer_and_the_session_says_so(serve: Serve, clip: Clip) -> None:
    server = serve(pictures=4, top_logprobs=20)
    with load_engine(server.name).open(clip) as session:
        session.generate(QUESTION)
        assert len(session.clip) == 4
        assert session.clip.indices.tolist() == [0, 2, 3, 5]
        assert "6 frames" in session.notes[0]
        assert "4 are used" in session.notes[0]
        session.score(QUESTION, EIGHT)
        assert len(session.notes) == 1
    assert [part["type"] for part in server.chats[-1].content].count("image_url") == 4


@pytest.mark.parametrize(
    "reason",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens.",
        "the request exceeds the available context size. try increasing the context size",
        "Too many images in the request",
    ],
)
def test_a_context_that_is_too_short_takes_half_of_the_frames(serve: Serve, clip: Clip, reason: str) -> None:
    from fixtures.model_server import status

    server = serve()
    with load_engine(server.name).open(clip) as session:
        server.troubles += [status(400, reason), status(413)]
        assert session.generate(QUESTION).text == server.answer
        assert len(session.clip) == 1
        server.troubles += [status(400, reason)]
        with pytest.raises(EngineError, match="rejects"):
            session.generate(QUESTION)


def test_requests_and_tokens_are_counted(serve: Serve, clip: Clip) -> None:
    server = serve(top_logprobs=20)
    engine = load_engine(server.name)
    assert engine.traffic.requests == len(server.requests) == 2
    prompt, cached = engine.traffic.prompt_tokens, engine.traffic.cached_tokens
    with engine.open(clip) as session:
        session.generate(QUESTION)
        session.score(QUESTION, EIGHT)
    assert engine.traffic.requests == len(server.requests)
    assert engine.traffic.bytes_sent == sum(len(one.raw) for one in server.requests)
    assert engine.traffic.prompt_tokens - prompt == 300
    assert engine.traffic.cached_tokens - cached == 80 + 2 * 90


# Answers that begin with given words


def test_the_beginning_of_an_answer_is_sent_only_where_the_server_continues_it(
    serve: Serve, clip: Clip
) -> None:
    continues = serve(prompt_logprobs=True, top_logprobs=20, answer=" carcinoma")
    with load_engine(continues.name).open(clip) as session:
        assert session.generate(QUESTION, answer_start="Diagnosis:").text == " carcinoma"
    body = continues.chats[-1].body
    assert body["messages"][-1] == {"role": "assistant", "content": "Diagnosis:"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)

    plain = serve(top_logprobs=20, answer="\nDiagnosis: carcinoma")
    with load_engine(plain.name).open(clip) as session:
        pieces: list[str] = []
        answer = session.generate(QUESTION, answer_start="Diagnosis:", on_token=pieces.append)
        assert answer.text == " carcinoma" == "".join(pieces)
        plain.answer = "Carcinoma of the colon"
        assert session.generate(QUESTION, answer_start="Diagnosis:").text == "Carcinoma of the colon"
        plain.answer = "Diag"
        assert session.generate(QUESTION, answer_start="Diagnosis:").text == "Diag"
    assert len(plain.chats[-1].body["messages"]) == 1


# Scores

_SERVERS = {
    "letters": {"top_logprobs": 20},
    "letters, unknown fields rejected": {"top_logprobs": 20, "strict": True},
    "five letters": {"top_logprobs": 5, "rejects_more": True},
    "choice": {"system_one": True, "strict": True},
    "sampled": {},
    "sampled together": {"several": True},
    "sampled, unknown fields rejected": {"strict": True},
    "tokens": {"prompt_logprobs": True, "top_logprobs": 20},
}
_SCORING = {"letters": "lettered choice", "five": "lettered choice", "choice": "lettered choice",
            "sampled": "sampled answers", "tokens": "token probabilities"}  # fmt: skip
_REQUESTS = {
    "letters": 2, "letters, unknown fields rejected": 2, "five letters": 6, "choice": 1, "sampled": 3,
    "sampled together": 2, "sampled, unknown fields rejected": 3, "tokens": 8,
}  # fmt: skip


@pytest.mark.parametrize("kind", _SERVERS)
def test_scores_rank_by_preference_and_do_not_depend_on_the_order(
    serve: Serve, settled: Callable[..., Engine], clip: Clip, kind: str
) -> None:
    """With a model that prefers the first option of any list."""
    server = serve(**_SERVERS[kind], weights={"tumour c": 6.0, "c": 6.0}, first_bias=2.0)
    engine = settled(server, wording="videopath" if kind == "tokens" else "plain")
    assert engine.info.scoring == _SCORING[kind.split()[0].rstrip(",")]
    assert len(server.requests) <= 5
    with engine.open(clip) as session:
        count = len(server.requests)
        scores = session.score(QUESTION, EIGHT, answer_start="Diagnosis:")
        assert len(server.requests) - count == _REQUESTS[kind]
        by_name = dict(zip(EIGHT, scores, strict=True))
        assert max(by_name, key=by_name.__getitem__) == " tumour c\n"
        mixed = EIGHT[3:] + EIGHT[:3]
        assert session.score(QUESTION, mixed, answer_start="Diagnosis:") == [by_name[one] for one in mixed]
        if kind != "tokens":
            assert sum(map(math.exp, scores)) == pytest.approx(1)
            doubled = session.score(QUESTION, [*EIGHT, "tumour a"], answer_start="Diagnosis:")
            assert doubled == [*scores, by_name[" tumour a\n"]]
            count = len(server.requests)
            assert session.score(QUESTION, [" one"]) == [0.0]
            assert session.score(QUESTION, []) == []
            assert len(server.requests) == count


def test_the_middle_of_two_orders_hides_a_bias_to_the_first_option(serve: Serve, clip: Clip) -> None:
    server = serve(top_logprobs=20, first_bias=4.0)
    with load_engine(server.name).open(clip) as session:
        first, second = session.score(QUESTION, ["adenoma", "carcinoma"])
        assert first == pytest.approx(second) == pytest.approx(math.log(0.5))


def test_many_candidates_are_asked_in_rounds(serve: Serve, clip: Clip) -> None:
    """Ratios of the model's preferences survive, as Luce's axiom says."""
    names = [f"tumour {number:02}" for number in range(50)]
    weights = {name: 1.0 + 0.5 * (number % 7) for number, name in enumerate(names)}
    server = serve(top_logprobs=20, weights=weights)
    with load_engine(server.name).open(clip) as session:
        count = len(server.requests)
        scores = session.score(QUESTION, names)
        assert len(server.requests) - count == 8
    total = sum(weights.values())
    assert np.exp(scores) == pytest.approx([weights[name] / total for name in names], rel=1e-3)
    longest = max(server.chats[-1].text.splitlines(), key=lambda line: line[1:3] == ". ")
    assert longest.startswith("A. ")


def test_token_probabilities_are_those_of_the_candidate_alone(
    serve: Serve, settled: Callable[..., Engine], clip: Clip
) -> None:
    weights = {"colon": 2.0, "adenoma": 4.0, "Diagnosis:": 7.0, "R": 9.0}
    server = serve(prompt_logprobs=True, top_logprobs=20, weights=weights)
    engine = settled(server, scoring="token probabilities")
    with engine.open(clip) as session:

        def ask(text: str, reduce: ScoreReduction) -> float:
            return session.score(QUESTION, [text], answer_start="Diagnosis:", reduce=reduce)[0]

        words = math.log(0.2), math.log(0.4)
        assert ask(" colon adenoma", "sum") == pytest.approx(sum(words))
        assert ask(" colon adenoma", "mean") == pytest.approx(sum(words) / 2)
        assert ask(" colon adenoma\n", "sum") == pytest.approx(sum(words) + math.log(0.1))  # the line break


def test_a_server_that_does_not_continue_gives_no_token_probabilities(
    serve: Serve, settled: Callable[..., Engine]
) -> None:
    with pytest.raises(InputError, match="lettered choice and sampled answers"):
        settled(serve(top_logprobs=20), scoring="token probabilities")
    assert settled(serve(top_logprobs=20), scoring="sampled answers").info.scoring == "sampled answers"


def test_a_model_that_does_not_answer_with_a_letter_is_sampled(serve: Serve, clip: Clip) -> None:
    server = serve(top_logprobs=20, letter_mass=0.01)
    assert load_engine(server.name).info.scoring == "sampled answers"
    later = serve(top_logprobs=20)
    with load_engine(later.name).open(clip) as session:
        later.letter_mass = 0.01
        session.score(QUESTION, EIGHT)
        session.score(QUESTION, EIGHT[:4])
        assert session.notes == [
            "The model did not answer a choice with a letter, so scores of this clip say little."
        ]


def test_the_choice_endpoint_sees_four_frames_and_the_session_says_so(serve: Serve, clip: Clip) -> None:
    server = serve(system_one=True)
    with load_engine(server.name).open(clip) as session:
        session.score(QUESTION, EIGHT, answer_start="Diagnosis:")
        assert session.notes == ["Scores rest on 4 of 6 frames: the server's choice takes no more."]
    body = server.requests[-1].body
    assert len(body["assets"]) == 4
    assert [body["state"].count(name) for name in body["assets"]] == [1] * 4
    assert "Frame at 0 s" in body["state"]
    assert "Frame at 5 s" in body["state"]
    orders = [list(question["criteria"]) for question in body["questions"].values()]
    assert len(orders) == 4 == len(set(map(tuple, orders)))
    places = np.array([[order.index(option) for order in orders] for option in sorted(orders[0])])
    assert (places.mean(axis=1) == 3.5).all()


def test_the_hash_tells_engines_apart_that_may_answer_differently(
    serve: Serve, settled: Callable[..., Engine]
) -> None:
    server = serve(top_logprobs=20)
    plain = settled(server).info.weights_sha256
    assert settled(server, timeout=9, retries=0, frames=4).info.weights_sha256 == plain
    differs = [
        settled(server, scoring="sampled answers"),
        settled(server, orders=4),
        settled(server, max_image_side=512),
        settled(server, wording="videopath"),
        settled(server, extra_body={"chat_template_kwargs": {"enable_thinking": False}}),
    ]
    server.models = [{"id": "tiny-vl", "root": "/other/weights", "created": 7}]
    differs.append(settled(server))
    hashes = {engine.info.weights_sha256 for engine in differs}
    assert len(hashes | {plain}) == len(differs) + 1
    server.models[0]["created"] = 8  # vLLM reports the time of the request
    assert settled(server).info.weights_sha256 == differs[-1].info.weights_sha256


def test_a_card_holds_only_for_the_engine_that_it_was_fitted_on(
    serve: Serve, settled: Callable[..., Engine], tmp_path: Path
) -> None:
    server, calibration = serve(top_logprobs=20), {"temperature": 2.0}
    sha256 = settled(server).info.weights_sha256
    fitted = {
        "date": "2026-11-28",
        "set": "s",
        "set_sha256": "0",
        "questions": 1,
        "right": 1,
        "weights_sha256": sha256,
        "scoring": "lettered choice",
    }
    for fitted_on, known in ((fitted, calibration), (fitted | {"weights_sha256": "other"}, {}), (None, {})):
        card = {"labels": {"colon": ["adenoma"]}, "calibration": calibration, "calibrated_on": fitted_on}
        (tmp_path / "videopath.json").write_text(json.dumps(card))
        info = settled(server, card=str(tmp_path)).info
        assert (info.card.calibration, info.card.labels) == (known, {"colon": ["adenoma"]})
    with pytest.raises(InputError, match="not a folder"):
        settled(server, card=str(tmp_path / "none"))


# Sessions


def test_an_answer_is_cancelled_between_tokens(serve: Serve, clip: Clip) -> None:
    server = serve(answer="gland " * 500)
    with load_engine(server.name).open(clip) as session:
        pieces: list[str] = []
        answer = session.generate(QUESTION, on_token=pieces.append, cancelled=lambda: len(pieces) >= 3)
        assert answer.stopped == "cancelled"
        assert answer.text == "".join(pieces) == "gland gland gland"
        assert session.generate(QUESTION, cancelled=lambda: True).text == ""
        assert session.generate(QUESTION).stopped == "eos"


def test_a_session_answers_one_question_at_a_time_and_none_when_closed(serve: Serve, clip: Clip) -> None:
    session = load_engine(serve().name).open(clip)
    with pytest.raises(EngineError, match="another question"):
        session.generate(QUESTION, on_token=lambda _: session.score(QUESTION, ["a", "b"]))
    session.generate(QUESTION)
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.generate(QUESTION)


def test_at_most_so_many_requests_run_at_a_time(
    serve: Serve, settled: Callable[..., Engine], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(prompt_logprobs=True, top_logprobs=20)
    engine = settled(server, wording="videopath", max_requests=2)
    lock, running, most = threading.Lock(), 0, 0
    answer = ScriptedServer.shares

    def slow(self: ScriptedServer, options: list[str]) -> list[float]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        server.closing.wait(0.03)
        with lock:
            running -= 1
        return answer(self, options)

    monkeypatch.setattr(ScriptedServer, "shares", slow)
    with engine.open(clip) as session:
        session.score(QUESTION, EIGHT)
    assert most == 2


# Nothing is sent to an address that the user did not name


def test_a_redirect_is_not_followed(serve: Serve, clip: Clip) -> None:
    server, other = serve(), serve()
    with load_engine(server.name).open(clip) as session:
        server.troubles.append(redirect(f"{other.address}/chat/completions"))
        with pytest.raises(EngineError, match=f"127.0.0.1:{other.port}") as caught:
            session.generate(QUESTION)
    assert not caught.value.retryable
    assert other.requests == []


def test_proxies_and_keys_of_the_environment_are_not_used(
    serve: Serve, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = serve(), serve()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-secret\nX-Ward: sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", proxy.address)
    with load_engine(server.name).open(clip) as session:
        session.generate(QUESTION)
        session.score(QUESTION, ["a", "b"])
    assert proxy.requests == []
    sent = [f"{name}: {value}" for one in server.requests for name, value in one.headers.items()]
    assert not [line for line in sent if "secret" in line or line.lower().startswith(("authorization", "x-"))]


def test_a_proxy_of_the_settings_is_used(serve: Serve, settled: Callable[..., Engine]) -> None:
    proxy = serve(path="http://server.example/v1")
    record = {"address": "http://server.example/v1", "proxy": f"http://127.0.0.1:{proxy.port}"}
    assert settled(proxy, **record).info.address == "http://server.example/v1"
    assert len(proxy.requests) > 1
    with pytest.raises(InputError, match="proxy"):
        settled(serve(), proxy="nonsense")


def test_the_key_is_read_from_its_variable_and_never_shown(
    serve: Serve, settled: Callable[..., Engine], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fixtures.model_server import status

    server = serve()
    with pytest.raises(InputError, match="WARD_KEY"):
        settled(server, key_env="WARD_KEY")
    monkeypatch.setenv("WARD_KEY", "sk-ward-42")
    engine = settled(server, key_env="WARD_KEY")
    assert {one.headers["Authorization"] for one in server.requests} == {"Bearer sk-ward-42"}
    assert "sk-ward-42" not in engine.info.model_dump_json()
    with engine.open(clip) as session:
        server.troubles.append(status(401, "Incorrect API key provided: sk-ward-42."))
        with pytest.raises(EngineError, match="check the key in WARD_KEY") as caught:
            session.generate(QUESTION)
    assert "sk-ward-42" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "http://"),
        ("127.0.0.1:8000/v1", "http://"),
        ("ftp://host/v1", "http://"),
        ("file:///etc/passwd", "http://"),
        ("http:///v1", "host"),
        ("http://host:99999/v1", "not valid"),
        ("http://[::1/v1", "not valid"),
        ("http://user:sk-secret@host/v1", "key_env"),
        ("http://sk-secret@host/v1", "key_env"),
        ("http://host/v1?key=sk-secret", "path"),
        ("http://host/v1#model#more", "second"),
        ("http://ho st/v1", "space"),
        ("http://host/v1\n", "control"),
    ],
)
def test_an_unusable_address_is_said_in_one_sentence(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_engine(f"openai:{address}")
    assert "sk-secret" not in str(caught.value)
    assert str(caught.value).count(". ") == 0


def test_a_served_model_has_no_base(serve: Serve) -> None:
    with pytest.raises(InputError, match="no base"):
        load_engine(serve().name, base="other")


def test_other_models_are_not_served() -> None:
    for name in ("nano", "ward", "org/model", "/models/mine", "./ward"):
        assert served_model(name) is None


def test_a_missing_client_is_named_with_its_extra(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from videopath.core import installing

    monkeypatch.setattr(installing, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"\[served\]"):
        load_engine(serve().name)


def test_nobody_listens(clip: Clip) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        load_engine(f"openai:http://127.0.0.1:{port}/v1#m")
    assert caught.value.retryable


def test_a_server_that_is_silent_at_load_is_not_waited_for(
    serve: Serve, settled: Callable[..., Engine]
) -> None:
    with pytest.raises(EngineError, match="silent for 0.3 s"):
        settled(serve(troubles=[hang]), timeout=0.3, retries=0)


def test_a_model_without_eyes_is_refused(serve: Serve) -> None:
    with pytest.raises(ModelError, match="At most 0 image"):
        load_engine(serve(pictures=0).name)
