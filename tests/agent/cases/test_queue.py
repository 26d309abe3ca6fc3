"""The queue of a library, on both databases: order, one worker a case, decisions, stops and cases that end their workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.scripted import SURE, ScriptedEngine

from videopath.agent import Decision, DiagnosticAgent, Policy
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.team.queue import MAX_TRIES, CaseQueue
from videopath.agent.queue_worker import QueueWorker, WorkerOptions
from videopath.core.errors import CaseError, EngineError

STEPS = ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]
Enter = Callable[..., None]


@pytest.fixture(params=["sqlite", "postgres"])
def library(request: pytest.FixtureRequest, own_home: Path) -> CaseLibrary:
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    return load_case_library()


@pytest.fixture
def enter(library: CaseLibrary, words_alone: Path, small_case: Path) -> Enter:
    """Put cases into the queue: ``enter("a", "b", review="always")``."""

    def entered(*case_ids: str, review: Any = "never") -> None:
        policy = Policy(max_looks=0, samples=1, review=review)
        with DiagnosticAgent.load(ScriptedEngine(SURE), words_alone, policy=policy) as agent:
            for case_id in case_ids:
                agent.begin(small_case, site="colon", case_id=case_id, writing="keep", queued=True)

    return entered


def worker_on(library: CaseLibrary, **more: Any) -> QueueWorker:
    engine = ScriptedEngine(SURE)
    return QueueWorker(library, lambda _spec: engine, **more)


def test_each_case_is_taken_once_the_oldest_first(library: CaseLibrary) -> None:
    queue = CaseQueue(library)
    assert queue.take() is None
    for name, model in (("a", "nano"), ("b", "other"), ("c", "nano")):
        library.start(name, "a.mp4", None, model, inputs="{}", queued=True)
    assert [entry.state for entry in library.list()] == ["queued"] * 3
    assert (queue.waiting(), len(queue)) == (["a", "b", "c"], 3)
    second = CaseQueue(load_case_library())
    first, other, third = queue.take(), second.take("other"), second.take()
    assert [one and one.case_id for one in (first, other, third)] == ["a", "b", "c"]
    assert second.take() is None
    assert first is not None
    assert library.entry("a").state == "running"
    with pytest.raises(CaseError, match="works on case"):
        second.put("a")
    queue.give_back("a")
    first.release()
    assert library.entry("a").state == "queued"
    taken = second.take()
    assert taken is not None
    assert taken.case_id == "a", "it kept its place"
    taken.release()
    assert library.entry("a").state == "interrupted", "as after a kill"
    again = queue.take()
    assert again is not None
    assert again.case_id == "a"
    for held in (again, other, third):
        assert held is not None
        held.release()


def test_a_case_leaves_the_queue_when_it_fails_is_stopped_or_deleted(library: CaseLibrary) -> None:
    queue = CaseQueue(library)
    for name in ("a", "b", "c"):
        library.start(name, "a.mp4", None, "nano", inputs="{}", queued=True)
    library.set_status("a", "failed", "why")
    assert queue.remove("b")
    assert not queue.remove("b")
    library.delete("c")
    assert (queue.waiting(), len(queue), queue.take()) == ([], 0, None)
    assert {entry.case_id: entry.state for entry in library.list()} == {"a": "failed", "b": "interrupted"}
    queue.put("a")
    queue.put("a")
    queue.put("b")
    assert queue.waiting() == ["a", "b"]


def test_a_case_that_ends_its_workers_fails_and_does_not_keep_others_from_their_turn(
    library: CaseLibrary,
) -> None:
    queue = CaseQueue(library)
    for name in ("bad", "good"):
        library.start(name, "a.mp4", None, "nano", inputs="{}", queued=True)
    for _ in range(MAX_TRIES):
        taken = queue.take()
        assert taken is not None
        assert taken.case_id == "bad"
        taken.release()  # as if its worker was killed
    taken = queue.take()
    assert taken is not None
    assert taken.case_id == "good"
    taken.release()
    entry = library.entry("bad")
    assert entry.status == "failed"
    assert f"ended {MAX_TRIES} workers" in (entry.comment or "")


def test_a_worker_goes_on_after_a_failure_and_ends_when_nothing_waits(
    library: CaseLibrary, enter: Enter
) -> None:
    enter("a", "b")
    library.start("odd", "a.mp4", None, "scripted", inputs="not JSON", queued=True)
    ends: dict[str, str] = {}
    assert worker_on(library, on_end=ends.__setitem__).run(once=True) == 1
    assert ends == {"a": "ended", "b": "ended", "odd": "failed"}
    assert {entry.case_id: entry.state for entry in library.list()} == {
        "a": "done",
        "b": "done",
        "odd": "failed",
    }
    assert "is damaged" in (library.entry("odd").comment or "")

    def no_engine(_spec: object) -> Any:
        raise EngineError("There is no room on the GPU.")

    enter("c")
    assert QueueWorker(library, no_engine, WorkerOptions(model="other")).run(once=True) == 0
    assert QueueWorker(library, no_engine).run(once=True) == 1
    assert library.entry("c").comment == "There is no room on the GPU."


def test_a_worker_that_is_asked_to_stop_gives_its_case_back_after_the_step(
    library: CaseLibrary, enter: Enter
) -> None:
    enter("a", "b")
    ends: dict[str, str] = {}
    first = worker_on(
        library,
        on_step=lambda _case_id, step: first.stop() if step.name == "describe" else None,
        on_end=ends.__setitem__,
    )
    first.run(once=True)  # if a step fails, this test fails and does not hang
    assert ends == {"a": "given back"}
    assert {entry.state for entry in library.list()} == {"queued"}
    further: list[str] = []
    worker_on(library, on_step=lambda case_id, step: further.append(f"{case_id} {step.name}")).run(once=True)
    assert further == [f"a {step}" for step in STEPS[2:]] + [f"b {step}" for step in STEPS]


def test_a_person_stops_a_case_that_a_worker_works_on(library: CaseLibrary, enter: Enter) -> None:
    enter("a")
    queue, ends = CaseQueue(library), dict[str, str]()
    worker_on(
        library,
        on_step=lambda case_id, step: step.name == "describe" and queue.remove(case_id),
        on_end=ends.__setitem__,
    ).run(once=True)
    assert ends == {"a": "stopped"}
    assert library.entry("a").state == "interrupted"
    assert [step.name for step in _resumed(library, "a")] == STEPS


def _resumed(library: CaseLibrary, case_id: str) -> list[Any]:
    CaseQueue(library).put(case_id)
    worker_on(library).run(once=True)
    return library.get(case_id).steps


def test_a_decision_waits_in_the_queue_and_is_given_once(library: CaseLibrary, enter: Enter) -> None:
    enter("a", review="always")
    worker_on(library).run(once=True)
    assert library.entry("a").state == "waiting for review"
    queue = CaseQueue(library)
    with DiagnosticAgent.load(ScriptedEngine(SURE), library=library) as agent:
        waiting = agent.pending("a")
    assert waiting is not None
    accept = Decision(action="accept", reviewer="Dr. A", comment="seen", interrupt_id=waiting.id)
    queue.put("a", accept)
    assert library.entry("a").state == "queued"
    with pytest.raises(CaseError, match=r"not wait for a decision.*no longer"):
        queue.put("a", accept.model_copy(update={"comment": "no longer"}))
    queue.remove("a")
    assert library.entry("a").state == "waiting for review"
    queue.put("a", accept)
    worker_on(library).run(once=True)
    assert library.entry("a").state == "signed"
    assert [decision.reviewer for decision in library.get("a").review] == ["Dr. A"]
    with pytest.raises(CaseError, match="it has ended"):
        queue.put("a")
    assert len(queue) == 0


def test_a_signed_case_whose_worker_was_killed_before_its_row_was_written_leaves_the_queue(
    library: CaseLibrary, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter("a", "b", review="always")
    worker_on(library).run(once=True)
    with DiagnosticAgent.load(ScriptedEngine(SURE), library=library) as agent:
        waiting = agent.pending("a")
    assert waiting is not None
    queue = CaseQueue(library)
    queue.put("a", Decision(action="accept", reviewer="Dr. A", interrupt_id=waiting.id))

    def killed(self: CaseLibrary, report: Any) -> None:
        self._write_report(report)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(CaseLibrary, "save", killed)
        with pytest.raises(SystemExit):
            worker_on(library).run(once=True)
    assert (library.entry("a").state, queue.waiting()) == ("signed", ["a"])
    assert worker_on(library).run(once=True) == 0
    assert (library.entry("a").state, len(queue)) == ("signed", 0)
    assert [entry.case_id for entry in library.list("signed", limit=9)] == ["a"], "the row says it as well"
    assert [decision.reviewer for decision in library.get("a").review] == ["Dr. A"]


def test_a_library_of_an_earlier_version_has_an_empty_queue(own_home: Path) -> None:
    import sqlite3
    from contextlib import closing

    load_case_library().start("a", "a.mp4", None, "nano")
    with closing(sqlite3.connect(own_home / "cases.sqlite")) as database, database:
        for index in ("cases_by_assigned", "cases_by_batch"):
            database.execute(f"DROP INDEX {index}")
        for column in ("vouched_by", "assigned", "batch"):
            database.execute(f"ALTER TABLE cases DROP COLUMN {column}")
        for table in ("queue", "events"):
            database.execute(f"DROP TABLE {table}")
        database.execute("UPDATE videopath_revision SET version_num = '0002'")
    queue = CaseQueue(load_case_library())
    assert (queue.take(), queue.has("a"), queue.decision("a"), len(queue)) == (None, False, None, 0)
    queue.put("a")
    assert queue.waiting() == ["a"]


def test_an_idle_worker_ends_as_soon_as_it_is_asked_to(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading
    import time

    monkeypatch.setattr("videopath.agent.queue_worker.INTERVAL", 60.0)
    worker = worker_on(load_case_library())
    working = threading.Thread(target=worker.run, daemon=True)
    working.start()
    time.sleep(0.1)
    assert (working.is_alive(), worker.case_id) == (True, None)
    worker.stop()
    working.join(5)
    assert not working.is_alive()
