"""The case library in PostgreSQL, for several machines. The case folders are on a disk that all of them share.

A case's lock belongs to a connection of the process that works on it: the server frees it when the process or its
machine is gone.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from videopath.agent.cases.lock import MIN_WAIT, busy, refuse_gone
from videopath.agent.cases.storage.advisory import AdvisoryLock, AdvisoryLocks
from videopath.agent.cases.storage.migrating import (
    has_cases,
    is_current,
    migrate,
    read_as_current,
    revision_of,
)
from videopath.agent.cases.storage.store import WAIT, LostCaseError, Store, committed
from videopath.core.database_address import shown_address, without_password
from videopath.core.errors import CaseError

_CHECKPOINT_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
_IDLE = 1800  # seconds after which a connection of the pool is replaced
_SILENCE = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")
"""After a minute without a sign of life the server ends the connection of a machine, and frees its locks."""
_HELD = """
SELECT classid::bigint, objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Server:
    """A database that this process is connected to.

    Args:
        address: Its address.
    """

    def __init__(self, address: str) -> None:
        self.name = shown_address(address)
        self._address = address
        url = make_url(address).set(drivername="postgresql+psycopg")
        self.arguments: dict[str, Any] = {
            "connect_timeout": 10,
            "application_name": "videopath",
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            **url.get_dialect()().create_connect_args(url)[1],
        }
        """Arguments of ``psycopg.connect``."""
        self.engine: Engine = create_engine(
            url,
            connect_args=self.arguments,
            pool_pre_ping=True,
            pool_recycle=_IDLE,
            hide_parameters=True,
        )
        self.locks = AdvisoryLocks(self._connect_for_locks)
        self.once: set[str] = set()
        """What this process has already made sure of."""

    @cached_property
    def schema(self) -> str:
        """The schema that holds the tables: two libraries may share a database."""
        with self.engine.connect() as connection:
            return str(connection.execute(text("SELECT current_schema()")).scalar())

    def key(self, kind: str, name: str) -> int:
        """Return the number of a lock, 64 bits with a sign."""
        digest = hashlib.sha256("\n".join((self.schema, kind, name)).encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def why_unusable(self, error: BaseException) -> str:
        """Return a sentence that says why the database cannot be used, without its password."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".:")
        return (
            f"The database {self.name} cannot be used ({without_password(reason, self._address)}): check that the server "
            "runs and that VIDEOPATH_DATABASE names it."
        )

    def _connect_for_locks(self) -> psycopg.Connection:
        connection = psycopg.connect(**self.arguments, autocommit=True)
        for setting in _SILENCE:
            connection.execute(f"SET {setting}")
        return connection


class PostgresStore(Store):
    """The case library in a PostgreSQL database.

    Args:
        home: The home folder, on a disk that all machines share.
        address: The address of the database.
    """

    def __init__(self, home: Path, address: str) -> None:
        super().__init__(home)
        self.server = server_of(address)

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        with self._explained(), self.server.engine.connect() as connection:
            if "table" not in self.server.once:
                revision = revision_of(connection, self.server.name)
                if not has_cases(connection):
                    yield None
                    return
                if is_current(revision):
                    self.server.once.add("table")
                else:
                    read_as_current(connection)  # it is gone when the transaction is rolled back
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._explained(), self.server.engine.connect() as connection, committed(connection):
            if "revision" not in self.server.once:
                self._migrate(connection)
            yield connection
        self.server.once.add("revision")

    def take(self, case_id: str, wait: float, lost: str) -> AdvisoryLock:
        refuse_gone(self.folder(case_id), lost)
        with self._explained(lost):
            lock = self.server.locks.take(self.server.key("case", case_id), max(wait, MIN_WAIT))
        if lock is None:
            raise busy(case_id, lost)
        return lock

    def try_take(self, case_id: str) -> AdvisoryLock | None:
        if not self.folder(case_id).is_dir():
            return None
        with self._explained():
            return self.server.locks.take(self.server.key("case", case_id), 0.0)

    def at_work(self, case_ids: Collection[str]) -> set[str]:
        if not case_ids:
            return set()
        with self._explained(), self.server.engine.connect() as connection:
            held = {(high, low) for high, low in connection.execute(text(_HELD))}
        if not held:
            return set()
        return {case_id for case_id in case_ids if _halves(self.server.key("case", case_id)) in held}

    def refuse_lost(self, case_id: str) -> None:
        with self._explained():
            is_lost = self.server.locks.is_lost(self.server.key("case", case_id))
        if is_lost:
            raise LostCaseError(
                f"The connection to the database was lost during the work on case {case_id}, so another process may "
                "have taken it over: look at the case, and resume it if nobody works on it."
            )

    @contextmanager
    def writing_questions(self, case_id: str) -> Iterator[None]:
        with self.held("questions", case_id):
            yield

    @contextmanager
    def held(self, kind: str, name: str) -> Iterator[None]:
        """Hold a lock within the block; raise ``TimeoutError`` if it is not free in time."""
        with self._explained():
            lock = self.server.locks.take(self.server.key(kind, name), WAIT)
        if lock is None:
            raise TimeoutError(f"Another process holds the lock of {kind} {name}.")
        try:
            yield
        finally:
            lock.release()

    def drop_checkpoints(self, case_id: str) -> None:
        with self._explained(), self.server.engine.connect() as connection, committed(connection):
            if not inspect(connection).has_table(_CHECKPOINT_TABLES[0]):
                return
            for name in _CHECKPOINT_TABLES:
                connection.execute(text(f"DELETE FROM {name} WHERE thread_id = :id"), {"id": case_id})

    def why_unusable(self, error: Exception) -> str:
        return self.server.why_unusable(error)

    def summary(self) -> str:
        with self._explained(), self.server.engine.connect() as connection:
            revision = revision_of(connection, self.server.name)
            version = str(connection.execute(text("SHOW server_version")).scalar()).split()[0]
        state = f"revision {revision}" if revision else "no table yet (the first case creates it)"
        return f"{self.server.name}, PostgreSQL {version}, {state}"

    def _migrate(self, connection: Connection) -> None:
        """Bring the table to this version; of several processes, one does it and the others wait."""
        if is_current(revision_of(connection, self.server.name)):
            return
        key = self.server.key("migration", "")
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        if not is_current(revision_of(connection, self.server.name)):
            migrate(connection)

    @contextmanager
    def _explained(self, lost: str = "") -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, psycopg.Error) as error:
            raise CaseError(self.why_unusable(error) + lost) from without_address(error)


def without_address(error: Exception) -> Exception:
    """Return the driver's own error, which does not hold the statement with its values."""
    return error.orig if isinstance(error, DBAPIError) and isinstance(error.orig, Exception) else error


_servers: dict[str, Server] = {}
_guard = threading.Lock()


def server_of(address: str) -> Server:
    """Return this process's connections to a database; they are shared by all libraries with this address."""
    with _guard:
        if address not in _servers:
            _servers[address] = Server(address)
        return _servers[address]


def close_connections() -> None:
    """Close all idle connections of this process to databases."""
    with _guard:
        for server in _servers.values():
            server.engine.dispose()
        _servers.clear()


def _forget() -> None:
    """Forget the connections of the process that this one was forked from: only that process may use them."""
    global _guard
    _guard = threading.Lock()
    for server in _servers.values():
        server.engine.dispose(close=False)
        server.locks.forget()


def _halves(key: int) -> tuple[int, int]:
    """Return a lock's number as ``pg_locks`` shows it: two halves without a sign."""
    bits = key & (1 << 64) - 1
    return bits >> 32, bits & (1 << 32) - 1


atexit.register(close_connections)
_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None:
    _register(after_in_child=_forget)
