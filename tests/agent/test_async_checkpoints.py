"""Checkpoints for a server's event loop, in both databases: kept, deleted by runs, and errors in one sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph

from videopath.agent.async_checkpoints import open_async_checkpoints
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.core.errors import CaseError

_THREAD = {"configurable": {"thread_id": "case-1", "checkpoint_ns": ""}}


@pytest.fixture(params=["sqlite", "postgres"])
def library(request: pytest.FixtureRequest, own_home: Path) -> CaseLibrary:
    """A library in either database."""
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    return load_case_library()


def _state(given: dict[str, int]) -> dict[str, int]:
    return {"count": given["count"] + 1}


def _graph(saver: Any) -> Any:
    graph = StateGraph(dict)
    graph.add_node("add", _state)
    graph.add_edge(START, "add")
    graph.add_edge("add", END)
    return graph.compile(checkpointer=saver)


def _run(run_id: str) -> dict[str, Any]:
    """The config of a run; LangGraph's server notes its id in the metadata of each checkpoint."""
    return {**_THREAD, "metadata": {"run_id": run_id}}


def test_checkpoints_are_kept_and_deleted_by_runs(library: CaseLibrary) -> None:
    async def work() -> list[int]:
        async with open_async_checkpoints(lambda: library) as saver:
            await _graph(saver).ainvoke({"count": 1}, _run("one"), durability="sync")
            await _graph(saver).ainvoke({"count": 5}, _run("two"), durability="sync")
        counts = []
        async with open_async_checkpoints(lambda: library) as saver:
            for gone in ("nothing", "two", "one"):
                await saver.adelete_for_runs([gone])
                last = await saver.aget_tuple(_THREAD)
                counts.append(last.checkpoint["channel_values"]["__root__"]["count"] if last else 0)
        return counts

    assert asyncio.run(work()) == [6, 2, 0]


def test_a_deleted_case_takes_its_thread_with_it(library: CaseLibrary) -> None:
    async def work() -> object:
        async with open_async_checkpoints(lambda: library) as saver:
            await _graph(saver).ainvoke({"count": 1}, _THREAD)
            library.drop_checkpoints("case-1")
            return await saver.aget_tuple(_THREAD)

    assert asyncio.run(work()) is None


def test_threads_of_postgresql_are_pruned(own_home: Path, postgres: str) -> None:
    async def work() -> list[int]:
        counts = []
        async with open_async_checkpoints(load_case_library) as saver:
            await _graph(saver).ainvoke({"count": 1}, _THREAD)
            for strategy in ("keep_latest", "delete_all"):
                await saver.aprune(["case-1"], strategy=strategy)
                counts.append(len([one async for one in saver.alist(_THREAD)]))
        return counts

    assert asyncio.run(work()) == [1, 0]


def test_a_database_that_fails_later_is_named_without_its_password(own_home: Path, postgres: str) -> None:
    import psycopg

    async def work() -> None:
        async with open_async_checkpoints(load_case_library) as saver:
            with psycopg.connect(postgres, autocommit=True) as connection:
                connection.execute("DROP TABLE checkpoints")
            await saver.aget_tuple(_THREAD)

    with pytest.raises(CaseError, match=r"The database postgresql://lab@.* cannot be used") as caught:
        asyncio.run(work())
    assert "s3cret" not in str(caught.value)


def test_checkpoints_that_cannot_be_opened_are_named(own_home: Path) -> None:
    own_home.mkdir(exist_ok=True)
    (own_home / "checkpoints.sqlite").write_bytes(b"no database" * 1000)

    async def work() -> None:
        async with open_async_checkpoints(load_case_library):
            pass

    with pytest.raises(CaseError, match=r"checkpoints\.sqlite"):
        asyncio.run(work())
