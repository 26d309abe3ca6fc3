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
from typer.testing import CliRunner

from videopath.app.cli.main import app
from videopath.core.errors import EngineError, InputError
from videopath.evaluation.testsets.answers import Answer
from videopath.evaluation.testsets.judge import ASPECTS, KEY, Judge, published_score, strict_score
from videopath.evaluation.testsets.summary import read_set_report

ANSWER = Answer(
    id="1", video="a.mp4", question="What is it?", reference="Serous carcinoma.", text="A carcinoma."
)
Reply = Callable[[dict[str, Any]], "str | int | bytes"]


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
                message = {"role": "assistant", "content": said if isinstance(said, str) else ""}
                content = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "model": "m", "id": "1", "object": "chat.completion", "created": 1}  # fmt: skip
                data = json.dumps(content if status == 200 else {"error": {"message": "no"}}).encode()
                if isinstance(said, bytes):  # not of the protocol
                    data = said
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
    thread = threading.Thread(target=made.http.serve_forever, args=(0.02,), daemon=True)
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
    judge = Judge.at(server.place, parallel=1)
    first, second = judge.judge([ANSWER, ANSWER.model_copy(update={"id": "2"})])
    assert first.scores[ASPECTS[0]] == 2
    assert first.replies[ASPECTS[0]] == ["Score: 4", '{"score": 9}', '{"score": 2}']
    assert first.scores[ASPECTS[1]] is None
    assert "none of 3 replies" in first.error
    assert set(second.scores.values()) == {None}
    summary = judge.summary([first, second])
    assert (summary.answers, summary.failed, summary.scores) == (2, 2, {})
    assert sum(summary.failures.values()) == 2


def test_published_turns_one_failed_call_into_three_zeros(server: Server) -> None:
    calls = iter(["{'score': 4.8}", "{'score': '2'}", 500])
    server.reply = lambda _: next(calls)
    judge = Judge.at(server.place, "published", retries=0)
    (judged,) = judge.judge([ANSWER])
    assert set(judged.scores.values()) == {0}
    assert judged.error
    server.reply = lambda _: "{'score': 4.8}"
    (judged,) = judge.judge([ANSWER])
    assert set(judged.scores.values()) == {4}
    assert judge.summary([judged]).scores["norm_average"].value == pytest.approx(80)


def test_a_slow_or_failing_server_costs_a_score_and_not_the_run(server: Server) -> None:
    server.reply = lambda _: time.sleep(0.5) or '{"score": 4}'
    (slow,) = Judge.at(server.place, timeout=0.05, tries=1, retries=0).judge([ANSWER])
    assert "Timeout" in slow.error
    server.reply = lambda _: 503
    server.asked.clear()
    (down,) = Judge.at(server.place, tries=1, retries=1).judge([ANSWER])
    assert len(server.asked) == 6  # each of three calls is made again
    assert set(down.scores.values()) == {None}
    assert down.error


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"<html>",
        b"{}",
        b"[1]",
        b'{"choices": 3}',
        b'{"choices": [{}]}',
        b'{"score": 4}',
        b"\xff\xfe",
    ],
)
def test_a_reply_that_is_not_of_the_protocol_is_kept_and_counted(server: Server, body: bytes) -> None:
    server.reply = lambda _: body
    (judged,) = Judge.at(server.place).judge([ANSWER])
    assert set(judged.scores.values()) == {None}
    assert "does not follow the protocol" in judged.error
    assert [len(replies) for replies in judged.replies.values()] == [1, 1, 1]


def _answers(count: int) -> list[Answer]:
    return [
        ANSWER.model_copy(update={"id": str(n), "text": f"Answer {n}.", "group": f"g{n}"})
        for n in range(count)
    ]


def test_what_was_judged_is_not_asked_again_and_what_failed_is(server: Server, tmp_path: Path) -> None:
    out, judge = tmp_path / "new" / "judgements.jsonl", Judge.at(server.place, tries=1)
    server.reply = lambda body: "no" if "Answer 1." in body["messages"][1]["content"] else '{"score": 4}'
    assert [bool(one.error) for one in sorted(judge.judge(_answers(3), out), key=lambda one: one.id)] == [
        False,
        True,
        False,
    ]
    out.write_text(out.read_text() + '{"id": "2", "clus')  # a kill in the middle of writing
    server.reply = lambda _: '{"score": 2}'
    server.asked.clear()
    again = {one.id: one.scores["detail"] for one in judge.judge(_answers(4), out)}
    assert again == {"0": 4, "1": 2, "2": 4, "3": 2}
    assert {body["messages"][1]["content"].rpartition(" ")[2] for body in server.asked} == {"1.", "3."}
    server.asked.clear()
    assert {one.cluster for one in judge.judge(_answers(4), out)} == {"g0", "g1", "g2", "g3"}
    assert server.asked == []
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines].count("1") == 2  # the failed one is kept, too
    assert all(line["judge"] == server.place and line["replies"]["detail"] and line["date"] for line in lines)


@pytest.mark.parametrize("other", ["parser", "answer", "model"])
def test_another_judge_parser_or_answer_is_asked_anew_in_the_same_file(
    server: Server, tmp_path: Path, other: str
) -> None:
    out = tmp_path / "judgements.jsonl"
    list(Judge.at(server.place).judge(_answers(1), out))
    first, server.asked = out.read_text(), []
    judge = Judge.at(
        server.place + ("2" if other == "model" else ""), "published" if other == "parser" else "strict"
    )
    changed = [
        answer.model_copy(update={"text": "New."} if other == "answer" else {}) for answer in _answers(1)
    ]
    assert len(list(judge.judge(changed, out))) == 1
    assert len(server.asked) == 3
    assert out.read_text().startswith(first)


def test_several_answers_are_judged_at_a_time(server: Server, tmp_path: Path) -> None:
    """Each of four answers waits until all four are being judged: one after the other it would never end."""
    together = threading.Barrier(4, timeout=20)

    def reply(body: dict[str, Any]) -> str:
        if "factually" in body["messages"][0]["content"]:
            together.wait()
        return '{"score": 4}'

    server.reply = reply
    judged = list(Judge.at(server.place, parallel=4).judge(_answers(4), tmp_path / "judgements.jsonl"))
    assert {one.id for one in judged} == {"0", "1", "2", "3"}
    assert not any(one.error for one in judged)


def test_who_stops_early_keeps_what_was_judged(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "judgements.jsonl"
    stream = Judge.at(server.place, parallel=1).judge(_answers(50), out)
    next(stream)
    stream.close()
    kept = len(out.read_text().splitlines())
    assert 1 <= kept < 50
    assert len(server.asked) <= 3 * (kept + 1)


def test_a_file_that_holds_no_judgements_is_left_alone(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "judgements.jsonl"
    out.write_text("my notes\n")
    with pytest.raises(InputError, match="not a file of judgements"):
        list(Judge.at(server.place).judge(_answers(1), out))
    assert out.read_text() == "my notes\n"


def test_differences_are_over_the_answers_that_were_judged_for_both(server: Server) -> None:
    judge = Judge.at(server.place, tries=1)
    server.reply = lambda body: "no" if "Answer 2." in body["messages"][1]["content"] else '{"score": 4}'
    first = list(judge.judge(_answers(3)))
    server.reply = lambda _: '{"score": 1}'
    second = list(judge.judge(_answers(3)))
    found = judge.difference(first, second)
    assert (found["detail"].value, found["detail"].questions) == (3.0, 2)
    assert found["norm_average"].value == pytest.approx(60)
    assert found["norm_average"].low == pytest.approx(60)
    assert judge.difference(first, []) == {}


def test_a_judge_that_nobody_is_behind_is_told_at_once(server: Server) -> None:
    Judge.at(server.place).check()
    with pytest.raises(EngineError, match="cannot be reached"):
        Judge.at("http://127.0.0.1:9/v1#m").check()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_run_in_one_sentence(server: Server, status: int) -> None:
    server.reply = lambda _: status
    with pytest.raises(EngineError, match="rejects"):
        list(Judge.at(server.place).judge([ANSWER]))


def test_an_answer_that_is_missing_is_0_and_nobody_is_asked(server: Server) -> None:
    (judged,) = Judge.at(server.place).judge([ANSWER.model_copy(update={"error": "unreadable"})])
    assert set(judged.scores.values()) == {0}
    assert server.asked == []


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/v1", "judge", "ftp://x#y", "http://x#"])
def test_a_judge_has_an_address_and_a_model(place: str) -> None:
    with pytest.raises(InputError, match="not a judge"):
        Judge.at(place)


@pytest.mark.slow
def test_a_judged_evaluation_keeps_all_figures_when_the_judge_fails(
    server: Server, small_case: Path, tmp_path: Path
) -> None:
    """First no reply can be read: the other figures stand, and the next call asks the judge alone."""
    questions, out = tmp_path / "test.json", tmp_path / "out"
    questions.write_text(
        json.dumps([{"question": "What is it?", "answer": "Glands.", "video_name": small_case.stem}])
    )
    arguments = ["evaluate", str(questions), "--media", str(small_case.parent), "--out", str(out), "--system", "model",
                 "--judge", server.place, "--judge-parallel", "2"]  # fmt: skip
    server.reply = lambda _: "no"
    failed = CliRunner().invoke(app, arguments)
    assert (failed.exit_code, "gave no readable score" in failed.stderr) == (1, True)
    assert "ROUGE-L" in failed.stdout
    assert read_set_report(out / "report.json").systems[0].judged.failed == 1  # type: ignore[union-attr]
    before = (out / "model" / "answers.jsonl").read_text()
    server.reply = lambda _: '{"score": 3}'
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 0, answer.stderr
    judged = json.loads(answer.stdout)["systems"][0]["judged"]
    assert (judged["scores"]["norm_average"]["value"], judged["failed"]) == (60.0, 0)
    assert set(judged["prompts_sha256"]) == set(ASPECTS)
    assert (out / "model" / "answers.jsonl").read_text() == before
