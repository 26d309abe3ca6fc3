"""The statements on the table of events: what people did with cases."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, inspect, select

from videopath.agent.cases.storage.statements import Row, storable
from videopath.agent.cases.storage.tables import events

_KEY = ("case_id", "moment", "what", "who")


def insert_events(connection: Connection, case_id: str, rows: Sequence[Row]) -> None:
    """Insert those events of a case that are not in the table yet."""
    if not rows:
        return
    present = {tuple(row[name] for name in _KEY) for row in select_events(connection, case_id)}
    for row in rows:
        values = storable(connection, row)
        key = tuple(values[name] for name in _KEY)
        if key not in present:
            present.add(key)
            connection.execute(insert(events).values(values))


def select_events(connection: Connection, case_id: str) -> Sequence[Row]:
    """Return the events of a case, oldest first; libraries of earlier versions have none until the next write."""
    if not inspect(connection).has_table(events.name):
        return []
    statement = (
        select(events)
        .where(events.c.case_id == case_id)
        .order_by(events.c.moment, events.c.what, events.c.who)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def select_kinds(connection: Connection, what: str) -> Sequence[Row]:
    """Return all events of a kind, oldest first."""
    if not inspect(connection).has_table(events.name):
        return []
    statement = select(events).where(events.c.what == what).order_by(events.c.moment, events.c.case_id)
    return [dict(row) for row in connection.execute(statement).mappings()]


def delete_events(connection: Connection, case_id: str) -> None:
    """Delete the events of a case."""
    connection.execute(delete(events).where(events.c.case_id == case_id))
