"""The worker, without a browser: turns, stops, kills, decisions that come too late, failures in words."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videopath.agent import Decision, DiagnosticAgent, load_case_library
from videopath.app.web.runtime.fair_queue import FairQueue
from videopath.app.web.runtime.worker import JobState, Worker
from videopath.core.errors import CaseError, InputError
from videopath.core.settings import load_settings

RequestOf = Callable[..., Any]
_ENDED = ("finished", "failed", "stopped")


def _ended(worker: Worker, case_id: str, seconds: float = 150) -> JobState:
    """The state in which a case ended."""
    return _when(worker, case_id, lambda state: state.phase in _ENDED, seconds)


def _when(worker: Worker, case_id: str, wanted: Callable[[JobState], bool], seconds: float = 150) -> JobState:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = worker.state(case_id)
        if state is not None and wanted(state):
            return state
        time.sleep(0.005)
    raise AssertionError(f"{case_id} did not come so far: {worker.state(case_id)}")


def _writes(state: JobState) -> bool:
    return state.phase == "running" and state.step == "describe" and len(state.text) > 10


# --- the queue ---


def test_owners_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.put(item[0], item)
    assert queue.waiting() == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert [queue.take() for _ in range(3)] == ["a1", "b1", "c1"]
    queue.put("d", "d1")
    assert queue.waiting() == ["d1", "a2", "b2", "a3"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers()), max_size=30), st.integers(0, 30))
def test_what_is_told_is_what_comes(items: list[tuple[str, int]], taken: int) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for item in items:
        queue.put(item[0], item)
    first = [queue.take() for _ in range(min(taken, len(items)))]
    told = queue.waiting()
    rest = [queue.take() for _ in range(len(items) - len(first))]
    assert rest == told
    for owner in "abcd":  # nobody overtakes themselves, and none is lost
        assert [item for item in (*first, *rest) if item and item[0] == owner] == [
            i for i in items if i[0] == owner
        ]


@given(st.lists(st.sampled_from("abcd"), max_size=30))
def test_nobody_waits_for_two_of_another(owners: list[str]) -> None:
    queue: FairQueue[str] = FairQueue()
    for owner in owners:
        queue.put(owner, owner)
    order = queue.waiting()
    for owner in set(owners):
        places = [-1, *(at for at, other in enumerate(order) if other == owner)]
        for begin, end in zip(places, places[1:], strict=False):
            between = order[begin + 1 : end]
            assert all(between.count(other) <= 1 for other in set(between))


def test_a_closed_queue_lets_everybody_go() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("a", "a1")
    queue.close()
    assert queue.take() is None


# --- the worker ---


def test_a_case_runs_to_its_end_and_tells_what_it_does(
    worker: Worker, request_of: RequestOf, own_home: Path
) -> None:
    worker.submit(request_of("case-1"))
    assert load_case_library(own_home).entry("case-1").status == "running"  # also when it only waits
    seen = _when(worker, "case-1", _writes)
    assert seen.device == "cpu"
    assert seen.activity == "writing"
    assert abs(time.time() - seen.step_started) < 120
    end = _ended(worker, "case-1")
    assert (end.phase, end.error, end.steps_done) == ("finished", None, 7)
    report = load_case_library(own_home).get("case-1")
    assert report.description.startswith(seen.text)
    worker.submit(request_of("case-2"))
    told = _when(worker, "case-2", lambda state: state.phase == "running").expected
    assert set(told) >= {"describe", "diagnose", "writing"}
    assert all(seconds >= 0 for seconds in told.values())
    worker.stop("case-2")


def test_the_model_is_loaded_before_a_case_needs_it(
    request_of: RequestOf, own_home: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_MODEL", str(checkpoint))
    worker = Worker(own_home, load_settings())
    worker.warm()
    worker.warm()  # every page asks
    worker.submit(request_of("case-1", model=str(checkpoint)))
    state = _when(worker, "case-1", lambda state: state.phase in ("loading", "running"))
    assert state.position == 0
    worker.stop("case-1")
    assert _ended(worker, "case-1").phase == "stopped"
    until = time.monotonic() + 60
    while not worker.engines.expected_loading(str(checkpoint)) and time.monotonic() < until:
        time.sleep(0.01)
    assert worker.engines.expected_loading(str(checkpoint))["loading the model"] > 0
    assert worker.engines.problem is None
    assert worker.close(timeout=60)


def test_two_owners_take_turns_and_keep_their_own_cases(
    worker: Worker, request_of: RequestOf, own_home: Path, tmp_path: Path, clip: Path
) -> None:
    from videopath.model import open_clip

    Image.fromarray(open_clip(clip, 1).frames[0]).save(tmp_path / "other.png")
    for number in (1, 2, 3):
        worker.submit(request_of(f"a{number}", owner="anna"))
    worker.submit(request_of("b1", owner="bert", site="lung", video=tmp_path / "other.png"))
    assert [state.case_id for state in worker.queue()] == ["a1", "b1", "a2", "a3"]
    assert [state.position for state in worker.queue()][-2:] == [2, 3]
    assert worker.state("a3").position == 3  # type: ignore[union-attr]
    for case_id in ("a2", "a3"):
        worker.stop(case_id)
        assert worker.state(case_id).phase == "stopped"  # type: ignore[union-attr]
    assert {_ended(worker, "a1").phase, _ended(worker, "b1").phase} == {"finished"}
    assert worker.queue() == []
    ours, theirs = (load_case_library(own_home).get(case_id) for case_id in ("a1", "b1"))
    assert (ours.site, ours.video and ours.video.path) == ("colon", str(clip))
    assert (theirs.site, theirs.video and theirs.video.path) == ("lung", str(tmp_path / "other.png"))
    assert (worker.state("a1").owner, worker.state("b1").owner) == ("anna", "bert")  # type: ignore[union-attr]


def test_stop_works_within_a_second_and_the_case_goes_on_where_it_was(
    worker: Worker, request_of: RequestOf, own_home: Path
) -> None:
    worker.submit(request_of("case-1"))
    _when(worker, "case-1", _writes)
    begun = time.monotonic()
    worker.stop("case-1")
    end = _ended(worker, "case-1")
    assert time.monotonic() - begun < 1
    assert (end.phase, end.steps_done) == ("stopped", 1)
    assert load_case_library(own_home).entry("case-1").status == "running"
    worker.stop("case-1")  # once more does nothing
    worker.resume("case-1", "b")
    assert _ended(worker, "case-1").phase == "finished"
    names = [step.name for step in load_case_library(own_home).get("case-1").steps]
    assert names == ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]


@pytest.mark.slow
def test_a_killed_server_loses_no_case(worker: Worker, own_home: Path, clip: Path) -> None:
    program = Path(__file__).with_name("killed_worker.py")
    with subprocess.Popen(
        [sys.executable, str(program), str(own_home), str(clip)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "here\n"
        server.kill()
    library = load_case_library(own_home)
    before = len(library.list())
    assert before == 2
    for case_id in ("working", "waiting"):
        assert library.entry(case_id).status == "running"
        assert worker.state(case_id) is None
        worker.resume(case_id, "a")
        worker.resume(case_id, "a")  # a second click is the same wish
    for case_id in ("working", "waiting"):
        assert _ended(worker, case_id).phase == "finished"
        assert len(library.get(case_id).steps) == 7


def test_a_stale_decision_is_refused_at_once(home: Path, nano_engine: Any) -> None:
    worker = Worker(home, load_settings())
    worker.engines.put("nano", nano_engine)
    with DiagnosticAgent.load(home=home) as agent:
        review = agent.pending("waiting").id  # type: ignore[union-attr]
    accept = Decision(action="accept", reviewer="Dr Grey", interrupt_id=review)
    with pytest.raises(CaseError, match="earlier review"):
        worker.resume("waiting", "a", Decision(action="accept", interrupt_id="0" * 32))
    with pytest.raises(CaseError, match="no longer waits"):
        worker.resume("done", "a", accept)
    assert worker.state("waiting") is None
    worker.resume("waiting", "a", accept)
    with pytest.raises(CaseError, match=r"somebody else"):
        worker.resume("waiting", "b", Decision(action="reject", reviewer="Dr Blue", interrupt_id=review))
    assert _ended(worker, "waiting").phase == "finished"
    with pytest.raises(CaseError, match="no longer waits"):
        worker.resume("waiting", "b", accept)
    worker.close()
    report = load_case_library(home).get("waiting")
    assert [(decision.action, decision.reviewer) for decision in report.review] == [("accept", "Dr Grey")]


@pytest.mark.parametrize("second", ["nano", "no-such-folder/model"])
def test_a_case_gets_the_second_opinion_of_the_settings(
    own_home: Path, nano_engine: Any, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    monkeypatch.setenv("VIDEOPATH_SECOND_OPINION", second)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    worker = Worker(own_home, load_settings())
    worker.engines.put("nano", nano_engine)
    worker.submit(request_of("two"))
    assert _ended(worker, "two").phase == "finished"
    worker.close()
    opinion = load_case_library(own_home).get("two").second_opinion
    assert bool(opinion.failure) == (second != "nano"), "a second model that is missing never ends the case"
    assert opinion.model == ("VideoPath-nano" if second == "nano" else second)


def test_a_failure_is_told_in_its_sentence_and_the_next_case_runs(
    worker: Worker, request_of: RequestOf, own_home: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.full((240, 320, 3), 245, np.uint8)).save(tmp_path / "blank.png")
    worker.submit(request_of("blank", video=tmp_path / "blank.png"))
    worker.submit(request_of("case-1"))
    end = _ended(worker, "blank")
    assert end.phase == "failed"
    assert "does not show histology" in str(end.error)
    entry = load_case_library(own_home).entry("blank")
    assert (entry.status, entry.comment) == ("failed", end.error)
    _when(worker, "case-1", lambda state: state.phase == "running")


def test_what_cannot_be_begun_is_refused_when_it_is_submitted(
    worker: Worker, request_of: RequestOf, own_home: Path, tmp_path: Path
) -> None:
    for wrong in ({"video": tmp_path / "none.mp4"}, {"site": "moon"}, {"question": " "}):
        with pytest.raises(InputError):
            worker.submit(request_of("case-1", **wrong))
    with pytest.raises(CaseError, match="not a case id"):
        worker.submit(request_of("../case"))
    with pytest.raises(CaseError, match="There is no case"):
        worker.resume("case-1", "a")
    assert load_case_library(own_home).list() == []
    assert worker.state("case-1") is None


def test_a_model_that_is_not_there_fails_its_case_alone(
    worker: Worker, request_of: RequestOf, own_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    worker.submit(request_of("case-1", model=str(tmp_path / "empty")))
    end = _ended(worker, "case-1")
    assert end.phase == "failed"
    assert "empty" in str(end.error)
    assert (
        load_case_library(own_home).entry("case-1").status == "running"
    )  # resumable, once the model is there


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_nobody_foresaw_ends_its_case_and_not_the_worker(
    worker: Worker, request_of: RequestOf, nano_engine: Any
) -> None:
    worker.engines.put("nano", object())  # type: ignore[arg-type]
    worker.submit(request_of("case-1"))
    end = _ended(worker, "case-1")
    assert end.phase == "failed"
    assert "log" in str(end.error)
    worker.engines.put("nano", nano_engine)
    worker.resume("case-1", "a")
    _when(worker, "case-1", lambda state: state.phase == "running")


def test_closing_leaves_what_was_at_work_resumable(
    worker: Worker, request_of: RequestOf, own_home: Path
) -> None:
    worker.submit(request_of("case-1"))
    worker.submit(request_of("case-2"))
    _when(worker, "case-1", _writes)
    assert worker.close(timeout=20)
    assert {worker.state(case_id).phase for case_id in ("case-1", "case-2")} == {"stopped"}  # type: ignore[union-attr]
    assert {entry.status for entry in load_case_library(own_home).list()} == {"running"}
