"""The statements on the queue: which cases wait for a worker, or are worked on by one that took them from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, inspect, select, update

from videopath.agent.cases.storage.tables import cases, queue

IN_QUEUE = ("queued", "running")
"""The statuses of cases that a worker may take, or has taken."""
_OLDEST_FIRST = (queue.c.since, queue.c.case_id)


@dataclass(frozen=True)
class QueuedRow:
    """A row of the queue."""

    case_id: str
    since: str
    decision: str | None
    progress: str
    tries: int


def has_queue(connection: Connection) -> bool:
    """Return whether there is a table for the queue: libraries of earlier versions have none until the next write."""
    return inspect(connection).has_table(queue.name)


def insert_queued(connection: Connection, case_id: str, since: str, decision: str | None = None) -> None:
    """Put a case at the end of the queue, also if it is in the queue already."""
    delete_queued(connection, case_id)
    connection.execute(
        insert(queue).values(case_id=case_id, since=since, decision=decision, progress="", tries=0)
    )


def select_queued(connection: Connection, case_id: str) -> QueuedRow | None:
    """Return the row of a case; None if it is not in the queue."""
    row = connection.execute(select(queue).where(queue.c.case_id == case_id)).mappings().first()
    return None if row is None else QueuedRow(**row)


def select_queue(connection: Connection, *, model: str | None = None, limit: int = 1000) -> Sequence[str]:
    """Return the ids of queued cases, in the order in which they are taken.

    Args:
        connection: A connection.
        model: Only cases that this model answers; None: all.
        limit: At most so many.
    """
    statement = (
        select(queue.c.case_id)
        .join(cases, cases.c.case_id == queue.c.case_id)
        .where(cases.c.status.in_(IN_QUEUE))
        .order_by(*_OLDEST_FIRST)
        .limit(limit)
    )
    if model is not None:
        statement = statement.where(cases.c.model == model)
    return connection.execute(statement).scalars().all()


def count_queue(connection: Connection) -> int:
    """Return how many cases are in the queue, those that are worked on included."""
    return connection.execute(select(func.count()).select_from(queue)).scalar_one()


def note_try(connection: Connection, case_id: str, progress: str, tries: int) -> None:
    """Note how far a case was when a worker took it, and how often it was taken there."""
    values = {"progress": progress, "tries": tries}
    connection.execute(update(queue).where(queue.c.case_id == case_id).values(values))


def delete_queued(connection: Connection, case_id: str) -> bool:
    """Take a case out of the queue; return whether it was there."""
    return bool(connection.execute(delete(queue).where(queue.c.case_id == case_id)).rowcount)
