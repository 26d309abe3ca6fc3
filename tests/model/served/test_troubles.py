"""What goes wrong between a server and its client: tried again, or said in a sentence, and never waited for long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fixtures import model_server as trouble
from fixtures.model_server import ScriptedServer, Trouble
from PIL import Image

from videopath.core.errors import EngineError, InputError
from videopath.media.clip import Clip, open_clip
from videopath.model import load_engine
from videopath.model.inference.engine import Engine, Session

QUESTION = "What is shown?"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """One grey picture."""
    path = tmp_path_factory.mktemp("picture") / "grey.png"
    Image.fromarray(np.full((48, 48, 3), 180, np.uint8)).save(path)
    return open_clip(path, 1)


@pytest.fixture
def server(serve: Callable[..., ScriptedServer]) -> ScriptedServer:
    return serve(top_logprobs=20)


@pytest.fixture
def engine(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A served model with two further tries that follow at once, and a limit of one second."""
    record = {"address": server.address, "timeout": 1.0, "retries": 2}
    monkeypatch.setenv("VIDEOPATH_ENGINES", json.dumps({"ward": record}))
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    return load_engine("ward")


@pytest.fixture
def session(engine: Engine, clip: Clip) -> Iterator[Session]:
    with engine.open(clip) as session:
        yield session


_PASSING = {
    "overloaded": [trouble.status(429, "slow down", Retry_After="0.01")] * 2,
    "failing": [trouble.status(500, "oops"), trouble.status(503)],
    "reset": [trouble.reset, trouble.reset],
    "one of each": [trouble.status(502), trouble.reset],
    "silent": [trouble.hang],
}


@pytest.mark.parametrize("what", _PASSING)
def test_what_passes_is_tried_again(server: ScriptedServer, session: Session, what: str) -> None:
    count = len(server.requests)
    server.troubles += _PASSING[what]
    assert session.generate(QUESTION).text == server.answer
    assert len(server.requests) - count == len(_PASSING[what]) + 1
    server.troubles += _PASSING[what]
    assert len(session.score(QUESTION, ["adenoma", "carcinoma"])) == 2
    assert not server.troubles


def test_the_server_says_how_long_to_wait(server: ScriptedServer, session: Session) -> None:
    server.troubles.append(trouble.status(429, Retry_After="0.4"))
    began = time.monotonic()
    session.generate(QUESTION)
    assert time.monotonic() - began >= 0.4


_LASTING: dict[str, tuple[Trouble, int, str, bool]] = {
    # trouble, requests that it takes, words of the message, whether another try can help
    "overloaded": (trouble.status(429, "queue is full"), 3, "overloaded .429: queue is full", True),
    "failing": (trouble.status(500, "CUDA out of memory"), 3, "500: CUDA out of memory", True),
    "reset": (trouble.reset, 3, "broke off", True),
    "silent": (trouble.hang, 3, "silent for 1 s", True),
    "bad request": (trouble.status(400, "bad\nwords"), 1, "400: bad words", False),
    "no key": (trouble.status(401), 1, "key_env", False),
    "forbidden": (trouble.status(403, "not you"), 1, "403: not you", False),
    "gone": (trouble.status(404, "The model `tiny-vl` does not exist."), 1, "does not exist", False),
    "a page": (trouble.page, 1, "HTML page", False),
    "compressed": (trouble.compressed, 1, "compressed", False),
    "200 MB announced": (trouble.announced, 1, "200,000,000 bytes", False),
    "redirect": (trouble.redirect("http://elsewhere.example/v1"), 1, "elsewhere.example", False),
}
_STREAMED: dict[str, tuple[Trouble, int, str, bool]] = {
    "cut stream": (trouble.cut_stream, 1, "broke off", True),
    "half a stream": (trouble.half_stream, 1, "in the middle", True),
    "stream that stops": (trouble.hanging_stream, 1, "silent", True),
    "line that is not JSON": (trouble.broken_stream, 1, "not JSON", False),
    "error in the stream": (trouble.failing_stream, 1, "CUDA out of memory", False),
    "other protocol": (trouble.wrong_stream, 1, "protocol: choices.0.delta.content", False),
    "JSON instead of a stream": (trouble.wrong({"choices": []}), 1, "application/json instead", False),
    "200 MB": (trouble.endless_stream, 1, "characters|too long", False),
}
_WHOLE: dict[str, tuple[Trouble, int, str, bool]] = {
    "not JSON": (trouble.not_json, 1, "instead of JSON", False),
    "200 MB": (trouble.endless, 1, "too long", False),
    "no choices": (trouble.wrong({"choices": []}), 1, "protocol: choices", False),
    "a list": (trouble.wrong([1, 2]), 1, "protocol", False),
    "a number": (trouble.wrong(7), 1, "protocol", False),
    "nested deeply": (trouble.wrong({"choices": {"a": 1}}), 1, "protocol: choices", False),
    "wrong message": (trouble.wrong({"choices": [{"message": "A"}]}), 1, "choices.0.message", False),
    "no number": (
        trouble.wrong(
            {
                "choices": [
                    {"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "logprob": "x"}]}}
                ]
            }
        ),
        1,
        "logprob",
        False,
    ),
}


def _expect(server: ScriptedServer, case: tuple[Trouble, int, str, bool], ask: Callable[[], object]) -> None:
    happens, requests, words, retryable = case
    count = len(server.requests)
    server.troubles += [happens] * requests
    began = time.monotonic()
    with pytest.raises(EngineError, match=words) as caught:
        ask()
    assert time.monotonic() - began < 10
    assert caught.value.retryable == retryable
    assert "\n" not in str(caught.value)
    assert len(server.requests) - count == requests
    assert server.sent_bytes < 60_000_000
    server.troubles.clear()


@pytest.mark.parametrize("what", [*_LASTING, *_STREAMED])
def test_a_stream_that_fails_is_an_error_in_a_sentence(
    server: ScriptedServer, session: Session, what: str
) -> None:
    case = {**_LASTING, **_STREAMED}[what]
    _expect(server, case, lambda: session.generate(QUESTION))
    assert session.generate(QUESTION).text == server.answer


@pytest.mark.parametrize("what", [*_LASTING, *_WHOLE])
def test_a_score_that_fails_is_an_error_in_a_sentence(
    server: ScriptedServer, session: Session, what: str
) -> None:
    case = {**_LASTING, **_WHOLE}[what]
    _expect(server, case, lambda: session.score(QUESTION, ["adenoma", "carcinoma"]))
    assert len(session.score(QUESTION, ["adenoma", "carcinoma"])) == 2


def test_logprobs_without_a_number_count_as_impossible(server: ScriptedServer, session: Session) -> None:
    """llama.cpp writes null for minus infinity."""
    top = [{"token": "A", "logprob": 0.0}, {"token": "B", "logprob": None}]
    choice = {
        "message": {"content": "A"},
        "logprobs": {"content": [{"token": "A", "logprob": 0.0, "top_logprobs": top}]},
    }
    server.troubles += [trouble.wrong({"choices": [choice]})] * 2
    assert session.score(QUESTION, ["adenoma", "carcinoma"]) == pytest.approx([np.log(0.5)] * 2)


@pytest.mark.parametrize(
    ("models", "error"),
    [
        (trouble.page, EngineError),
        (trouble.wrong({"data": [{"id": 7}]}), EngineError),
        (trouble.status(401), EngineError),
    ],
)
def test_a_list_of_models_that_is_none_is_said(
    serve: Callable[..., ScriptedServer],
    monkeypatch: pytest.MonkeyPatch,
    models: Trouble,
    error: type[Exception],
) -> None:
    server = serve()
    monkeypatch.setattr(trouble._Handler, "do_GET", models)
    with pytest.raises(error, match="HTML|protocol|key"):
        load_engine(server.name)


def test_a_server_without_a_list_is_used_by_name(
    serve: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setattr(trouble._Handler, "do_GET", trouble.status(404))
    assert load_engine(server.name).info.name == "tiny-vl"
    with pytest.raises(InputError, match="lists no model"):
        load_engine(f"openai:{server.address}")
