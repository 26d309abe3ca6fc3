"""Copy a case library from SQLite files into a PostgreSQL database: rows, queue, checkpoints and, if asked, files.

The source is only read. A case's row is written last, in one transaction, so a copy that was stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from videopath.agent.cases.library import FINISHED, CaseLibrary
from videopath.agent.cases.lock import LOCK_NAME
from videopath.agent.cases.storage.events import insert_events, select_events
from videopath.agent.cases.storage.queue import QueuedRow, has_queue, insert_queued, select_queued
from videopath.agent.cases.storage.sqlite import CASES_NAME, SqliteStore
from videopath.agent.cases.storage.statements import Row, insert_case, select_cases
from videopath.agent.cases.team.audit import deletions
from videopath.core.database import open_read_only
from videopath.core.errors import CaseError, InputError
from videopath.core.files import private_folder

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

_PART = ".copying"  # a folder that is not whole yet ends with it


@dataclass
class Copied:
    """What a copy did."""

    copied: int = 0
    present: int = 0
    """Cases that the target has already, as they are in the source."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Case id → why it was left out, in a sentence."""


def copy_library(
    source: CaseLibrary, target: CaseLibrary, on_case: Callable[[str], object] | None = None
) -> Copied:
    """Copy all cases of a library in SQLite files into one in PostgreSQL, oldest first.

    Locks are not copied. A case that a process works on, and one that is different in the target, are left out.

    Args:
        source: The library to copy. Nothing in it is changed.
        target: The library to copy into. If it has the same home folder, the files stay where they are.
        on_case: Called with the id of each case that was copied.

    Raises:
        CaseError: A database cannot be used, or a folder cannot be written.
        InputError: The source has no cases, or the libraries are not of these kinds.
    """
    store = source.store
    if not isinstance(store, SqliteStore) or isinstance(target.store, SqliteStore):
        raise InputError("A library is copied from SQLite files into a PostgreSQL database.")
    if not source.database.exists():
        raise InputError(
            f"There is no {CASES_NAME} in {source.home}: name the home folder of the cases to copy."
        )
    rows = [*reversed(_rows(source))]
    there = {str(row["case_id"]): row for row in _rows(target)}
    at_work = source.held(row["case_id"] for row in rows if row["status"] not in FINISHED)
    done = Copied()
    with _checkpoints(store, target) as copy_checkpoints:
        for row in rows:
            case_id = str(row["case_id"])
            if case_id in there:
                if dict(there[case_id]) == dict(row):
                    done.present += 1
                else:
                    done.left_out[case_id] = "it is different in the target, which stays as it is"
            elif case_id in at_work:
                done.left_out[case_id] = "a process works on it"
            else:
                _copy_files(source, target, case_id)
                if row["status"] not in FINISHED:
                    copy_checkpoints(case_id)
                _insert(target, row, _queued(source, case_id), _events(source, case_id))
                done.copied += 1
                if on_case is not None:
                    on_case(case_id)
    _copy_deletions(source, target)
    return done


def _copy_deletions(source: CaseLibrary, target: CaseLibrary) -> None:
    """Copy what is kept of the audit lists of deleted cases."""
    for case_id in {event.case_id for event in deletions(source)}:
        if not source.has(case_id):
            with target.store.writing() as connection:
                insert_events(connection, case_id, _events(source, case_id))


def _rows(library: CaseLibrary) -> list[Row]:
    with library.store.reading() as connection:
        return [] if connection is None else list(select_cases(connection))


def _queued(library: CaseLibrary, case_id: str) -> QueuedRow | None:
    with library.store.reading() as connection:
        if connection is None or not has_queue(connection):
            return None
        return select_queued(connection, case_id)


def _events(library: CaseLibrary, case_id: str) -> Sequence[Row]:
    with library.store.reading() as connection:
        return [] if connection is None else select_events(connection, case_id)


def _insert(target: CaseLibrary, row: Row, queued: QueuedRow | None, events: Sequence[Row]) -> None:
    with target.store.writing() as connection:
        insert_case(connection, row)
        if queued is not None:
            insert_queued(connection, queued.case_id, queued.since, queued.decision)
        insert_events(connection, str(row["case_id"]), events)


def _copy_files(source: CaseLibrary, target: CaseLibrary, case_id: str) -> None:
    """Copy the folder of a case unless both libraries have the same; it appears whole or not at all."""
    old, new = source.folder(case_id), target.folder(case_id)
    try:
        if not old.is_dir() or (new.exists() and old.samefile(new)):
            return
        part = new.with_name(new.name + _PART)
        for rest in (part, new):  # of a copy that was stopped: the target has no row of this case
            shutil.rmtree(rest, ignore_errors=True)
        private_folder(new.parent)
        shutil.copytree(old, part, symlinks=True, ignore=shutil.ignore_patterns(LOCK_NAME, "*.lock"))
        part.replace(new)
    except OSError as error:
        raise CaseError(
            f"The folder of case {case_id} cannot be copied to {new} ({error.strerror or error}): make room, or give "
            "permissions, and copy again."
        ) from error


@contextmanager
def _checkpoints(store: SqliteStore, target: CaseLibrary) -> Iterator[Callable[[str], None]]:
    """Yield a function that copies the checkpoints of a case."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    from videopath.agent.checkpoints import open_checkpoints, serializer

    if not store.checkpoints.exists():
        yield lambda _case_id: None
        return
    opened = open_checkpoints(target)
    try:
        with open_read_only(store.checkpoints) as database:
            old: Any = SqliteSaver(database, serde=serializer())
            old.is_setup = True  # its own set-up would write
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            has_any = {"checkpoints", "writes"} <= names
            yield lambda case_id: _copy_thread(old, opened.saver, case_id) if has_any else None
    finally:
        opened.close()


def _copy_thread(old: BaseCheckpointSaver[Any], new: BaseCheckpointSaver[Any], case_id: str) -> None:
    new.delete_thread(case_id)  # of a copy that was stopped
    thread: Any = {"configurable": {"thread_id": case_id}}
    for one in reversed(list(old.list(thread))):
        parent: Any = one.parent_config or {"configurable": {"thread_id": case_id, "checkpoint_ns": ""}}
        put = new.put(parent, one.checkpoint, one.metadata, one.checkpoint["channel_versions"])
        writes: dict[str, list[tuple[str, Any]]] = {}
        for task, channel, value in one.pending_writes or ():
            writes.setdefault(task, []).append((channel, value))
        for task, of_task in writes.items():
            new.put_writes(put, of_task, task)
