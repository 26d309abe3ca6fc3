"""The judge: both parsers, and what a server may do: answer, answer nonsense, be slow, fail, refuse."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.agent.evaluation.answers import Answer
from videopath.agent.evaluation.judge import ASPECTS, KEY, Judge, published_score, strict_score
from videopath.core.errors import EngineError, InputError

ANSWER = Answer(
    id="1", video="a.mp4", question="What is it?", reference="Serous carcinoma.", text="A carcinoma."
)
Reply = Callable[[dict[str, Any]], "str | int"]


class Server:
    """Speaks the protocol: what it replies is decided call by call; an integer is a status."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.reply: Reply = lambda _: '{"score": 4}'
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(body)
                server.keys.append(self.headers["Authorization"])
                said = server.reply(body)
                status = said if isinstance(said, int) else 200
                message = {"role": "assistant", "content": said}
                content = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "model": "m", "id": "1", "object": "chat.completion", "created": 1}  # fmt: skip
                data = json.dumps(content if status == 200 else {"error": {"message": "no"}}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"http://127.0.0.1:{self.http.server_port}/v1#judge-1"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_the_published_parser_is_the_benchmarks_own_bug_for_bug(shared: Path) -> None:
    table = json.loads((shared / "golden/tables/eval.json").read_text())
    assert [published_score(row["review"]) for row in table["parse_score"]] == [
        r["score"] for r in table["parse_score"]
    ]


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"score": 3}', 3), ('{"score": 0}', 0), ('{"score": 3, "why": "x"}', 3), ('{"score": 6}', None), ('{"score": -1}', None),
        ('{"score": 4.8}', None), ('{"score": "3"}', None), ('{"score": true}', None), ("3", None), ("", None), ("[3]", None),
        ("```json\n{\"score\": 3}\n```", None),
    ],
)  # fmt: skip
def test_the_strict_parser_takes_whole_numbers_from_0_to_5_alone(reply: str, score: int | None) -> None:
    assert strict_score(reply) == score


@given(st.text())
def test_no_reply_breaks_a_parser(reply: str) -> None:
    assert isinstance(published_score(reply), int)
    assert strict_score(reply) is None or 0 <= strict_score(reply) <= 5  # type: ignore[operator]


def test_three_calls_give_three_scores_and_their_mean(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "secret")
    given_ = {"factually": 3, "complete": 2, "whole": 5}
    server.reply = lambda body: json.dumps(
        {"score": next(score for word, score in given_.items() if word in body["messages"][0]["content"])}
    )
    judge = Judge.at(server.place)
    judgements = list(judge.judge([ANSWER]))
    assert judgements[0].scores == {"correctness": 3, "detail": 2, "context": 5}
    summary = judge.summary(judgements)
    assert summary.scores["average"].value == pytest.approx(10 / 3)
    assert summary.scores["norm_average"].value == pytest.approx(10 / 3 / 5 * 100)
    assert (summary.answers, summary.failed, summary.judge) == (1, 0, server.place)
    assert set(server.keys) == {"Bearer secret"}
    asked = server.asked[0]
    assert (asked["model"], asked["temperature"]) == ("judge-1", 0)
    assert asked["response_format"]["json_schema"]["strict"]
    assert all(
        word in asked["messages"][1]["content"]
        for word in ("What is it?", "Serous carcinoma.", "A carcinoma.")
    )
    assert judge.prompts != Judge.at(server.place, "published").prompts
    assert {len(digest) for digest in summary.prompts_sha256.values()} == {64}


def test_nonsense_is_asked_again_then_counted_and_never_0(server: Server) -> None:
    replies = iter(["Score: 4", '{"score": 9}', '{"score": 2}'])
    server.reply = lambda _: next(replies, "no")
    judge = Judge.at(server.place)
    first, second = judge.judge([ANSWER, ANSWER.model_copy(update={"id": "2"})])
    assert first.scores[ASPECTS[0]] == 2
    assert first.replies[ASPECTS[0]] == ["Score: 4", '{"score": 9}', '{"score": 2}']
    assert first.scores[ASPECTS[1]] is None
    assert "none of 3 replies" in first.error
    assert set(second.scores.values()) == {None}
    with pytest.raises(InputError, match="no score that can be read"):
        judge.summary([first, second])


def test_published_turns_one_failed_call_into_three_zeros(server: Server) -> None:
    calls = iter(["{'score': 4.8}", "{'score': '2'}", 500, 500, 500])
    server.reply = lambda _: next(calls)
    judge = Judge.at(server.place, "published")
    (judged,) = judge.judge([ANSWER])
    assert set(judged.scores.values()) == {0}
    assert judged.error
    server.reply = lambda _: "{'score': 4.8}"
    (judged,) = judge.judge([ANSWER])
    assert set(judged.scores.values()) == {4}
    assert judge.summary([judged]).scores["norm_average"].value == pytest.approx(80)


def test_a_slow_or_failing_server_costs_a_score_and_not_the_run(server: Server) -> None:
    server.reply = lambda _: time.sleep(0.5) or '{"score": 4}'
    (slow,) = Judge.at(server.place, timeout=0.05, tries=1).judge([ANSWER])
    assert "Timeout" in slow.error
    server.reply = lambda _: 503
    (down,) = Judge.at(server.place, tries=1).judge([ANSWER])
    assert set(down.scores.values()) == {None}
    assert down.error


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_run_in_one_sentence(server: Server, status: int) -> None:
    server.reply = lambda _: status
    with pytest.raises(EngineError, match="refuses"):
        list(Judge.at(server.place).judge([ANSWER]))


def test_an_answer_that_is_missing_is_0_and_nobody_is_asked(server: Server) -> None:
    (judged,) = Judge.at(server.place).judge([ANSWER.model_copy(update={"error": "unreadable"})])
    assert set(judged.scores.values()) == {0}
    assert server.asked == []


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/v1", "judge", "ftp://x#y", "http://x#"])
def test_a_judge_has_an_address_and_a_model(place: str) -> None:
    with pytest.raises(InputError, match="no judge"):
        Judge.at(place)
