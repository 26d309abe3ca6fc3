"""PostgreSQL's session locks: they belong to a connection, and the server frees them when it ends.

One connection per process holds all its locks. It is closed with the last lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

_STEP = 0.05  # seconds between two tries


class AdvisoryLock:
    """A lock that this process holds."""

    def __init__(self, locks: AdvisoryLocks, key: int) -> None:
        self._locks = locks
        self._key = key

    @property
    def is_locked(self) -> bool:
        """Whether this process still holds it, as far as it knows."""
        return self._locks.holds(self._key, self)

    def release(self) -> None:
        """Free the lock; nothing happens if it is free or lost."""
        self._locks.release(self._key, self)


class AdvisoryLocks:
    """The locks that this process holds in one database.

    Args:
        connect: Opens a connection that commits each statement.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._guard = threading.RLock()
        self._connection: psycopg.Connection | None = None
        self._inherited: psycopg.Connection | None = None
        self._held: dict[int, AdvisoryLock] = {}
        self._lost: dict[int, AdvisoryLock] = {}

    def take(self, key: int, wait: float) -> AdvisoryLock | None:
        """Take a lock; None if another process or thread still holds it after ``wait`` seconds.

        The server is asked again and again: a session that waits inside the server would stop others from building an
        index, which waits for all sessions.

        Raises:
            psycopg.Error: The server cannot be reached.
        """
        until = time.monotonic() + wait
        while True:
            with self._guard:
                lock = self._try(key)
            if lock is not None or time.monotonic() >= until:
                return lock
            time.sleep(_STEP)

    def holds(self, key: int, lock: AdvisoryLock) -> bool:
        """Return whether this process holds a lock, as far as it knows."""
        return self._held.get(key) is lock

    def release(self, key: int, lock: AdvisoryLock) -> None:
        """Free a lock; nothing happens if it is free or lost."""
        with self._guard:
            if self._lost.get(key) is lock:
                del self._lost[key]
            if self._held.get(key) is not lock:
                return
            del self._held[key]
            if not self._held:
                self._close()
            elif self._connection is not None:
                with suppress(psycopg.Error):  # the lock went with the connection
                    self._connection.execute("SELECT pg_advisory_unlock(%s)", [key])

    def is_lost(self, key: int) -> bool:
        """Ask the server whether a lock that this process took is gone; False if it never took it."""
        with self._guard:
            if key in self._held and not self._is_alive():
                self._drop()
            return key in self._lost

    def forget(self) -> None:
        """Forget all locks after a fork: they and their connection belong to the process that was forked."""
        self._inherited, self._connection = self._connection, None  # kept, so that it is not closed here
        self._guard = threading.RLock()
        self._held, self._lost = {}, {}

    def _try(self, key: int) -> AdvisoryLock | None:
        if key in self._lost or (key in self._held and self._is_alive()):
            return None  # a thread of this process works on it; it may not know yet that its lock is lost
        try:
            granted = self._ask(key)
        except psycopg.OperationalError:
            if not self._held:
                raise
            self._drop()
            granted = self._ask(key)
        if not granted:
            if not self._held:
                self._close()
            return None
        self._held[key] = AdvisoryLock(self, key)
        return self._held[key]

    def _ask(self, key: int) -> bool:
        if self._connection is None:
            self._connection = self._connect()
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
        return bool(row and row[0])

    def _is_alive(self) -> bool:
        try:
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return True
        except psycopg.Error:
            pass
        return False

    def _drop(self) -> None:
        """Give up a connection that is dead; its locks are lost."""
        self._lost |= self._held
        self._held = {}
        self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
