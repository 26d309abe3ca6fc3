"""Where the graph saves the state of unfinished cases: SQLite, PostgreSQL, or a checkpointer that a platform has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from videopath.agent.cases.storage.sqlite import SqliteStore
from videopath.core.database import connect, create_database
from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.cases.storage.postgres import PostgresStore

WAIT = 30.0
"""Seconds that a writer of checkpoints waits for other processes."""


@dataclass(frozen=True)
class Checkpoints:
    """An open checkpointer."""

    saver: BaseCheckpointSaver[Any]
    name: str
    """How errors name it."""
    errors: tuple[type[Exception], ...]
    """Errors of its database; for other errors nothing is known of it."""
    explain: Callable[[Exception], str]
    """Returns a sentence for such an error."""
    close: Callable[[], None]
    is_own: bool = True
    """Whether it belongs to the library's database, from which the library itself deletes checkpoints."""


def open_checkpoints(library: CaseLibrary) -> Checkpoints:
    """Open the checkpoints of a library, in SQLite or in its PostgreSQL database; they are created if they are missing.

    Raises:
        CaseError: They cannot be used.
    """
    if isinstance(library.store, SqliteStore):
        return _in_sqlite(library.store)
    return _in_postgres(library.store)  # type: ignore[arg-type]


def checkpoints_of(saver: BaseCheckpointSaver[Any]) -> Checkpoints:
    """Return a platform's own checkpointer, which is not closed with the agent."""
    return Checkpoints(saver, type(saver).__name__, (), str, _nothing, is_own=False)


def _nothing() -> None:
    """Do nothing."""


def serializer() -> JsonPlusSerializer:
    """Return the serializer of all checkpoints: the state is plain JSON, so no other classes are read."""
    return JsonPlusSerializer(allowed_msgpack_modules=None)


def _in_sqlite(store: SqliteStore) -> Checkpoints:
    from langgraph.checkpoint.sqlite import SqliteSaver

    path, home = store.checkpoints, store.home
    try:
        create_database(path)
        connection = connect(path, check_same_thread=False, timeout=WAIT)
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise CaseError(store.why_checkpoints_unusable(error)) from error
    except OSError as error:
        raise CaseError(
            f"The folder {home} cannot be written ({error}): make room or give it permissions, or set "
            "VIDEOPATH_HOME to another folder."
        ) from error
    return Checkpoints(
        SqliteSaver(connection, serde=serializer()),
        path.name,
        (sqlite3.Error,),
        store.why_checkpoints_unusable,
        connection.close,
    )


def _in_postgres(store: PostgresStore) -> Checkpoints:
    import psycopg
    from langgraph.checkpoint.postgres import PostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import ConnectionPool

    class Saver(PostgresSaver):
        """Writes nothing for a case that this process has lost to another one."""

        def put(self, config: Any, *rest: Any, **more: Any) -> Any:
            store.refuse_lost(config["configurable"]["thread_id"])
            return super().put(config, *rest, **more)

        def put_writes(self, config: Any, *rest: Any, **more: Any) -> None:
            store.refuse_lost(config["configurable"]["thread_id"])
            super().put_writes(config, *rest, **more)

    server = store.server
    pool: ConnectionPool[Any] = ConnectionPool(
        kwargs={**server.arguments, "autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=0,
        max_size=4,
        num_workers=1,
        timeout=WAIT,
        check=ConnectionPool.check_connection,
        name="videopath-checkpoints",
        open=True,
    )
    saver = Saver(pool, serde=serializer())
    try:
        if "checkpoints" not in server.once:
            with store.held("checkpoints", ""):
                saver.setup()
            server.once.add("checkpoints")
    except BaseException as error:
        pool.close()
        if isinstance(error, psycopg.Error | TimeoutError):
            raise CaseError(store.why_unusable(error)) from error
        raise
    return Checkpoints(saver, server.name, (psycopg.Error,), store.why_unusable, pool.close)
