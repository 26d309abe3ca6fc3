"""The case library in SQLite: one file in the home folder, and a lock file for each case."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from videopath.agent.cases.lock import is_held, take, try_take
from videopath.agent.cases.storage.migrating import (
    has_cases,
    is_current,
    migrate,
    read_as_current,
    revision_of,
)
from videopath.agent.cases.storage.pages import LOWER
from videopath.agent.cases.storage.store import WAIT, Store, committed
from videopath.core.database import connect, create_database, open_read_only
from videopath.core.errors import CaseError
from videopath.core.files import close_to_others

CASES_NAME, CHECKPOINTS_NAME = "cases.sqlite", "checkpoints.sqlite"

_QUESTIONS_LOCK = ".questions.lock"  # it does not keep anybody from working on the case
_MIN_FREE_SPACE = 1 << 20  # bytes


class SqliteStore(Store):
    """The SQLite files of a home folder."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.path = home / CASES_NAME
        self.checkpoints = home / CHECKPOINTS_NAME
        self._is_private = False  # whether this process has checked the permissions

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        if not self.path.exists():
            yield None
            return
        with (
            self._explained(),
            open_read_only(self.path, WAIT) as database,
            _engine(database).connect() as connection,
        ):
            revision = revision_of(connection, self.path.name)
            if not has_cases(connection):
                yield None
                return
            if not is_current(revision):
                read_as_current(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._explained(), closing(self._open()) as database, _engine(database).connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            with committed(connection):
                if not is_current(revision_of(connection, self.path.name)):
                    migrate(connection)
                yield connection

    def take(self, case_id: str, wait: float, lost: str) -> BaseFileLock:
        return take(self.folder(case_id), wait, lost)

    def try_take(self, case_id: str) -> BaseFileLock | None:
        return try_take(self.folder(case_id))

    def at_work(self, case_ids: Collection[str]) -> set[str]:
        return {case_id for case_id in case_ids if is_held(self.folder(case_id))}

    def refuse_lost(self, case_id: str) -> None:
        """Nothing to do: a lock file is held until the process ends."""

    @contextmanager
    def writing_questions(self, case_id: str) -> Iterator[None]:
        lock = FileLock(self.folder(case_id) / _QUESTIONS_LOCK, timeout=WAIT, mode=0o600)
        try:
            lock.acquire()
        except Timeout as error:
            raise TimeoutError(str(error)) from error
        try:
            yield
        finally:
            lock.release()

    def drop_checkpoints(self, case_id: str) -> None:
        """Delete the checkpoints of a case.

        The next case reuses the space, so the file grows with the cases at work, not with the finished ones.
        """
        if not self.checkpoints.exists():
            return
        try:
            with closing(connect(self.checkpoints, timeout=WAIT)) as database, database:
                names = database.execute(
                    "SELECT name FROM sqlite_master WHERE name IN ('checkpoints', 'writes')"
                ).fetchall()
                for (name,) in names:
                    database.execute(f"DELETE FROM {name} WHERE thread_id = ?", (case_id,))
        except sqlite3.DatabaseError as error:
            raise CaseError(self._why_unusable(error, self.checkpoints)) from error

    def why_unusable(self, error: Exception) -> str:
        return self._why_unusable(error, self.path)

    def why_checkpoints_unusable(self, error: Exception) -> str:
        """Return a sentence that says why the checkpoints cannot be used."""
        return self._why_unusable(error, self.checkpoints)

    def summary(self) -> str:
        with self.reading() as connection:
            if connection is None:
                return f"SQLite, {self.path} (the first case creates it)"
            revision = revision_of(connection, self.path.name)
        return f"SQLite, {self.path}, revision {revision or 'none (the next case lifts it)'}"

    def _open(self) -> sqlite3.Connection:
        """Open the file, which is created if it is missing; transactions begin and end when we say so."""
        try:
            create_database(self.path)
            if not self._is_private:
                self._close_to_others()
            return connect(self.path, timeout=WAIT, isolation_level=None)
        except OSError as error:
            raise CaseError(self.why_unusable(error)) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise CaseError(self.why_unusable(error.orig or error)) from error  # type: ignore[arg-type]
        except sqlite3.DatabaseError as error:
            raise CaseError(self.why_unusable(error)) from error

    def _why_unusable(self, error: Exception, file: Path) -> str:
        """Return why a file cannot be used. SQLite reports a full disk as an I/O error."""
        if self.home.exists() and shutil.disk_usage(self.home).free < _MIN_FREE_SPACE:
            return f"The disk of {self.home} is full: free some space or set VIDEOPATH_HOME to a folder elsewhere."
        return (
            f"{file} of the case library cannot be used ({error}): check the disk and the folder's "
            "permissions, or set VIDEOPATH_HOME to another folder."
        )

    def _close_to_others(self) -> None:
        """Restrict files of earlier versions to their owner.

        A folder is restricted after its contents: while it is open to others, the work is not finished.
        """
        for database in self.home.glob("*.sqlite*"):
            close_to_others(database)
        for folder in (self.home / "cache", self.home / "cases"):
            if folder.is_dir() and folder.stat().st_mode & 0o077:
                for path in folder.rglob("*"):
                    close_to_others(path)
                close_to_others(folder)
        self._is_private = True


def _engine(database: sqlite3.Connection) -> Engine:
    """Return an engine whose only connection is this one."""
    database.create_function(LOWER, 1, _lower, deterministic=True)
    return create_engine("sqlite://", creator=lambda: database, poolclass=NullPool, hide_parameters=True)


def _lower(text: object) -> str | None:
    return None if text is None else str(text).lower()
