"""What the case library needs of a database: connections, and locks of cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from videopath.core.errors import CaseError

WAIT = 30.0
"""Seconds that a writer waits for another one."""


class CaseLock(Protocol):
    """The lock of a case, held by this process."""

    @property
    def is_locked(self) -> bool:
        """Whether this process still holds it."""

    def release(self) -> None:
        """Free the lock."""


class LostCaseError(CaseError):
    """This process lost the lock of a case that it works on: another one may have taken the case over."""


class Store(ABC):
    """The database of one case library. Its errors are ``CaseError``, in one sentence."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def folder(self, case_id: str) -> Path:
        """Return the folder of a case."""
        return self.home / "cases" / case_id

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection | None]:
        """Open a connection that only reads; None if there is no table yet. Nothing is created."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """Open a connection in a transaction. It is committed if the block ends without an error.

        A missing table is created, and one of an earlier version is migrated.
        """

    @abstractmethod
    def take(self, case_id: str, wait: float, lost: str) -> CaseLock:
        """Take the lock of a case.

        Args:
            case_id: The case.
            wait: How long to wait for another holder, in seconds.
            lost: A sentence that is added to the error.

        Raises:
            CaseError: The lock is not free in time, or the case was deleted.
        """

    @abstractmethod
    def try_take(self, case_id: str) -> CaseLock | None:
        """Take the lock of a case if it is free at once; None if it is not, or if the case has no folder."""

    @abstractmethod
    def at_work(self, case_ids: Collection[str]) -> set[str]:
        """Return those of the cases whose lock is held, by this process or another one."""

    @abstractmethod
    def refuse_lost(self, case_id: str) -> None:
        """Raise :class:`LostCaseError` if this process has lost the lock of a case that it works on."""

    @abstractmethod
    def writing_questions(self, case_id: str) -> AbstractContextManager[None]:
        """Hold a lock for the moment in which a question is written.

        Raises:
            TimeoutError: The lock is not free in time.
        """

    @abstractmethod
    def drop_checkpoints(self, case_id: str) -> None:
        """Delete the checkpoints of a case."""

    @abstractmethod
    def why_unusable(self, error: Exception) -> str:
        """Return a sentence that says why the table cannot be used."""

    @abstractmethod
    def summary(self) -> str:
        """Return what the database is, and its revision, for ``videopath doctor``.

        Raises:
            CaseError: The database cannot be used.
        """


@contextmanager
def committed(connection: Connection) -> Iterator[None]:
    """Commit the connection's transaction if the block ends without an error, else roll it back."""
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
