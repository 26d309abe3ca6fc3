"""One cold agent, used from several threads at once: every case comes out, and with the answers of one after the other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from videopath.agent import DiagnosticAgent
from videopath.core.once import once_property
from videopath.knowledge import InstructionRecord, KnowledgeBase
from videopath.knowledge.bundled import STARTER_FOLDER
from videopath.tools.retrieve import RetrieveTool

T = TypeVar("T")
_THREADS = 4


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


def together(work: Callable[[int], T]) -> list[T]:
    """What ``work`` gives to each of several threads that begin at the same moment."""
    begin = threading.Barrier(_THREADS)

    def run(number: int) -> T:
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(run, range(_THREADS)))


@pytest.mark.usefixtures("restless")
def test_a_property_is_computed_once_for_each_instance() -> None:
    made: list[int] = []

    class Thing:
        @once_property
        def value(self) -> object:
            made.append(1)
            return object()

    thing = Thing()
    assert len(set(map(id, together(lambda _: thing.value)))) == 1
    assert len(made) == 1
    assert Thing().value is not thing.value


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("knowledge", [None, STARTER_FOLDER, str(STARTER_FOLDER)])
def test_a_cold_tool_opens_one_knowledge_base(knowledge: Any) -> None:
    for _ in range(10):
        tool = RetrieveTool(knowledge=knowledge)
        opened = together(lambda _, tool=tool: tool.open())  # type: ignore[misc]
        assert {id(base) for base in opened} == {id(opened[0])}
        assert isinstance(opened[0], KnowledgeBase)


def test_a_cold_agent_answers_from_several_threads_as_one_by_one(
    small_checkpoint: Path, small_case: Path, words_alone: Path, tmp_path: Path
) -> None:
    def answers(report: Any) -> tuple[Any, ...]:
        return report.diagnosis, report.confidence, [step.name for step in report.steps]

    asked: list[dict[str, Any]] = [{"site": ("colon", "lung")[number % 2]} for number in range(_THREADS)]
    arguments = (small_checkpoint, words_alone)
    with DiagnosticAgent.load(*arguments, home=tmp_path / "calm") as agent:
        wanted = [answers(agent.diagnose(small_case, **one)) for one in asked[:2]] * (_THREADS // 2)
    with DiagnosticAgent.load(*arguments, home=tmp_path / "restless") as agent:
        found = together(lambda number: answers(agent.diagnose(small_case, **asked[number])))
        assert found == wanted
        assert {entry.status for entry in agent.library.list()} == {"abstained"}, "it is not calibrated"
        assert len(agent.library.list()) == _THREADS


@pytest.mark.usefixtures("restless")
def test_what_a_knowledge_base_says_of_itself_is_always_of_one_version(tmp_path: Path) -> None:
    def record(number: int) -> InstructionRecord:
        return InstructionRecord(
            id=f"r{number}", source="s", question="What?", description=f"Glands {number}."
        )

    base = KnowledgeBase.build(tmp_path / "base", [record(0)])
    ended = threading.Event()
    wrong: list[tuple[int, int]] = []

    def read() -> None:
        while not ended.is_set():
            info = base.info()
            if info.records != info.version:
                wrong.append((info.version, info.records))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 8):
        base.add([record(number)])
        assert (base.info().version, base.info().records) == (number + 1, number + 1)
    ended.set()
    for reader in readers:
        reader.join()
    assert not wrong
