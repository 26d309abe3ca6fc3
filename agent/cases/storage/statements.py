"""The statements on the table of cases. SQLite and PostgreSQL run the same ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from videopath.agent.cases.storage.tables import cases

Row = Mapping[str, Any]
"""A row by the names of its columns."""
_NEWEST_FIRST = (cases.c.created.desc(), cases.c.case_id.desc())


def select_case(connection: Connection, case_id: str) -> Row | None:
    """Return the row of a case; None if there is none."""
    row = connection.execute(select(cases).where(cases.c.case_id == case_id)).mappings().first()
    return None if row is None else dict(row)


def select_cases(
    connection: Connection,
    *,
    site: str | None = None,
    statuses: Collection[str] | None = None,
    case_ids: Collection[str] | None = None,
    or_case_ids: Collection[str] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Sequence[Row]:
    """Return rows, newest first.

    Args:
        connection: A connection.
        site: Only cases of this site.
        statuses: Only cases whose row has one of these statuses; None: all.
        case_ids: Only these cases; None: all.
        or_case_ids: Also these cases, whatever their status is.
        limit: At most so many rows.
        offset: So many rows are left out at the beginning.
    """
    wanted = and_(True, *_conditions(site, statuses))
    if or_case_ids:
        wanted = or_(wanted, cases.c.case_id.in_(or_case_ids))
    statement = select(cases).where(wanted).order_by(*_NEWEST_FIRST)
    if case_ids is not None:
        statement = statement.where(cases.c.case_id.in_(case_ids))
    if limit is not None:
        statement = statement.limit(limit)
    if offset:
        statement = statement.offset(offset)
    return [dict(row) for row in connection.execute(statement).mappings()]


def select_case_ids(
    connection: Connection, *, site: str | None = None, statuses: Collection[str] | None = None
) -> Sequence[str]:
    """Return the ids of cases, newest first. Arguments are those of :func:`select_cases`."""
    statement = select(cases.c.case_id).where(*_conditions(site, statuses)).order_by(*_NEWEST_FIRST)
    return connection.execute(statement).scalars().all()


def count_cases(
    connection: Connection, *, site: str | None = None, statuses: Collection[str] | None = None
) -> int:
    """Return how many rows :func:`select_cases` returns without a limit."""
    statement = select(func.count()).select_from(cases).where(*_conditions(site, statuses))
    return connection.execute(statement).scalar_one()


def insert_case(connection: Connection, values: Row) -> None:
    """Insert a row; raise SQLAlchemy's ``IntegrityError`` if the id is taken."""
    connection.execute(insert(cases).values(storable(connection, values)))


def replace_case(connection: Connection, values: Row) -> None:
    """Update the row of a case, or insert it if there is none. The time of creation stays."""
    changing = {name: value for name, value in values.items() if name not in ("case_id", "created")}
    if not update_case(connection, values["case_id"], changing):
        insert_case(connection, values)


def update_case(connection: Connection, case_id: str, values: Row) -> bool:
    """Update columns of a case; return whether there is such a case."""
    statement = update(cases).where(cases.c.case_id == case_id).values(storable(connection, values))
    return bool(connection.execute(statement).rowcount)


def delete_case(connection: Connection, case_id: str) -> None:
    """Delete the row of a case."""
    connection.execute(delete(cases).where(cases.c.case_id == case_id))


def locked_status(connection: Connection, case_id: str) -> str | None:
    """Return the status of a case, and keep its row from other writers until the transaction ends."""
    statement = select(cases.c.status).where(cases.c.case_id == case_id).with_for_update()
    return connection.execute(statement).scalar()


def _conditions(site: str | None, statuses: Collection[str] | None) -> list[ColumnElement[bool]]:
    conditions = [] if site is None else [cases.c.site == site]
    if statuses is not None:
        one = next(iter(statuses), None)  # "=" can use the index for the order as well
        conditions.append(cases.c.status == one if len(statuses) == 1 else cases.c.status.in_(statuses))
    return conditions


def storable(connection: Connection, values: Row) -> dict[str, Any]:
    """Return the values; PostgreSQL takes no NUL character in a text."""
    if connection.dialect.name != "postgresql":
        return dict(values)
    return {
        name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
        for name, value in values.items()
    }
