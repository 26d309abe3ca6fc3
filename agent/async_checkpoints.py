"""Checkpoints for a server that runs the graph itself, such as LangGraph's: asynchronous, in the library's database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from videopath.agent.cases.storage.sqlite import SqliteStore
from videopath.agent.checkpoints import WAIT, open_checkpoints, serializer
from videopath.core.database import connect
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.cases.storage.postgres import PostgresStore

_MAX_CONNECTIONS = 4


@asynccontextmanager
async def open_async_checkpoints(
    library: Callable[[], CaseLibrary],
) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the checkpoints of a library for one event loop; missing tables are created.

    They are the same tables as those of :func:`~videopath.agent.checkpoints.open_checkpoints`: if a case is deleted or
    signed in the library, the checkpoints of its thread are deleted with it.

    Args:
        library: Returns the library. It is called in a thread, since it may read files.

    Raises:
        CaseError: The checkpoints cannot be used.
    """
    store = (await asyncio.to_thread(_prepared, library)).store
    opened = _in_sqlite(store) if isinstance(store, SqliteStore) else _in_postgres(store)  # type: ignore[arg-type]
    async with opened as saver:
        yield saver


def _prepared(library: Callable[[], CaseLibrary]) -> CaseLibrary:
    """Return the library after its tables of checkpoints were created or brought to their revision."""
    opened = library()
    open_checkpoints(opened).close()
    return opened


@asynccontextmanager
async def _in_sqlite(store: SqliteStore) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    class Saver(AsyncSqliteSaver):
        """Deletes what LangGraph's server may ask it to delete."""

        async def adelete_for_runs(self, run_ids: Iterable[str]) -> None:
            ids = [str(run_id) for run_id in run_ids]
            of_runs = f"json_extract(CAST(metadata AS TEXT), '$.run_id') IN ({', '.join('?' * len(ids))})"
            chosen = f"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE {of_runs}"
            await self.setup()
            async with self.lock:
                for table in ("writes", "checkpoints"):
                    await self.conn.execute(
                        f"DELETE FROM {table} WHERE (thread_id, checkpoint_ns, checkpoint_id) IN ({chosen})",
                        ids,
                    )
                await self.conn.commit()

    def connection() -> sqlite3.Connection:
        opened = connect(store.checkpoints, check_same_thread=False, timeout=WAIT)
        opened.execute("PRAGMA synchronous=FULL")
        return opened

    try:
        database = await aiosqlite.Connection(connection, iter_chunk_size=64)
    except sqlite3.Error as error:
        raise CaseError(store.why_checkpoints_unusable(error)) from error
    try:
        yield Saver(database, serde=serializer())
    finally:
        await database.close()


@asynccontextmanager
async def _in_postgres(store: PostgresStore) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    class Pool(AsyncConnectionPool[Any]):
        """Says in one sentence, without a password, why the database cannot be used."""

        @asynccontextmanager
        async def connection(self, timeout: float | None = None) -> AsyncIterator[Any]:
            try:
                async with super().connection(timeout) as opened:
                    yield opened
            except psycopg.Error as error:
                raise CaseError(store.why_unusable(error)) from error

    class Saver(AsyncPostgresSaver):
        """Deletes what LangGraph's server may ask it to delete."""

        async def adelete_for_runs(self, run_ids: Iterable[str]) -> None:
            ids = [str(run_id) for run_id in run_ids]
            async with self._cursor() as cursor, cursor.connection.transaction():
                await cursor.execute(
                    "DELETE FROM checkpoint_writes WHERE (thread_id, checkpoint_ns, checkpoint_id) IN (SELECT thread_id, "
                    "checkpoint_ns, checkpoint_id FROM checkpoints WHERE metadata->>'run_id' = ANY(%s))",
                    (ids,),
                )
                await cursor.execute("DELETE FROM checkpoints WHERE metadata->>'run_id' = ANY(%s)", (ids,))

        async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
            await super().aprune(thread_ids, strategy="delete" if strategy == "delete_all" else strategy)

    pool = Pool(
        kwargs={
            **store.server.arguments,
            "autocommit": True,
            "prepare_threshold": 0,
            "row_factory": dict_row,
        },
        min_size=0,
        max_size=_MAX_CONNECTIONS,
        num_workers=1,
        timeout=WAIT,
        check=AsyncConnectionPool.check_connection,
        name="videopath-async-checkpoints",
        open=False,
    )
    async with pool:
        yield Saver(pool, serde=serializer())
