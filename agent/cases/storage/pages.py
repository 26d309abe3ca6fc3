"""The statements for pages of the worklist: filter, words, order and page are the database's work.

A status as people see it depends on who works on a case. The database does not know that, so the ids of the cases that
are worked on are part of the statement.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Select, and_, case, collate, false, func, or_, select

from videopath.agent.cases.storage.statements import Row, select_cases
from videopath.agent.cases.storage.tables import cases

LOWER = "videopath_lower"
"""SQLite's own ``lower`` knows ASCII only; its connections have this function."""

Order = Literal[
    "newest first",
    "oldest first",
    "highest confidence first",
    "lowest confidence first",
    "diagnosis, A to Z",
    "site, A to Z",
    "status",
    "model",
]
"""An order of the worklist. Equal cases are newest first."""
ORDERS: tuple[Order, ...] = get_args(Order)

_UNENDED = ("queued", "running")
TAKEN = ("queued", "running", "waiting for review")
"""Stored statuses of cases that a process may work on. A failed case is running as soon as its work begins again."""


@dataclass(frozen=True)
class Sifting:
    """Which cases of the worklist are wanted, and in which order."""

    statuses: tuple[str, ...] = ()
    """Statuses as people see them; empty: all."""
    sites: tuple[str | None, ...] = ()
    """Canonical sites; None: cases without a site; empty: all."""
    words: str = ""
    """Words that must all occur in the id, the path of the video, the diagnosis, the site, the signer, the comment, the person
    in charge or the batch; upper and lower case are equal."""
    order: Order = "newest first"
    diagnosed: bool = False
    """Only cases with a diagnosis."""
    video: str | None = None
    """Runs of this video come first (the page Compare)."""
    assigned: str | None = None
    """Only cases of this person."""


@dataclass(frozen=True)
class AtWork:
    """The ids of the cases that processes hold."""

    running: frozenset[str] = frozenset()
    queued: frozenset[str] = frozenset()
    """Cases that wait in the memory of a process."""


def select_taken(connection: Connection) -> Sequence[str]:
    """Return the ids of the cases that a process may work on."""
    return connection.execute(select(cases.c.case_id).where(cases.c.status.in_(TAKEN))).scalars().all()


def select_page(
    connection: Connection, sifting: Sifting, at_work: AtWork, limit: int, offset: int
) -> Sequence[Row]:
    """Return the rows of a page. Only ids are sorted, since whole rows would not fit into the memory for it."""
    statement = _sifted(connection, select(cases.c.case_id), sifting, at_work)
    first = () if sifting.video is None else (case((cases.c.video == sifting.video, 0), else_=1),)
    order = _order(connection, sifting.order, at_work)
    statement = statement.order_by(*first, *order).limit(limit).offset(offset)
    case_ids = connection.execute(statement).scalars().all()
    rows = select_cases(connection, case_ids=case_ids) if case_ids else ()
    by_id = {row["case_id"]: row for row in rows}
    return [by_id[case_id] for case_id in case_ids if case_id in by_id]


def count_sifted(connection: Connection, sifting: Sifting, at_work: AtWork) -> int:
    """Return how many cases match."""
    statement = _sifted(connection, select(func.count()).select_from(cases), sifting, at_work)
    return int(connection.execute(statement).scalar_one())


def count_by_status(connection: Connection, at_work: AtWork) -> dict[str, int]:
    """Return how many cases have each status as people see it."""
    counts = {
        str(status): int(count)
        for status, count in connection.execute(select(cases.c.status, func.count()).group_by(cases.c.status))
    }
    counts["interrupted"] = counts.pop("running", 0)
    held = at_work.running | at_work.queued
    for status in (
        connection.execute(select(cases.c.status).where(cases.c.case_id.in_(held))).scalars() if held else ()
    ):
        counts["interrupted" if status == "running" else status] -= 1
    counts["running"] = len(at_work.running)
    counts["queued"] = counts.get("queued", 0) + len(at_work.queued)
    return {status: count for status, count in counts.items() if count > 0}


def select_sites(connection: Connection) -> Sequence[str | None]:
    """Return the sites of all cases; None if cases have no site."""
    return connection.execute(select(cases.c.site).distinct()).scalars().all()


def select_people(connection: Connection) -> Sequence[str]:
    """Return the names of all people who are in charge of a case, or signed one."""
    names: set[str] = set()
    for column in (cases.c.assigned, cases.c.signed_by):
        names.update(name for name in connection.execute(select(column).distinct()).scalars() if name)
    return sorted(names)


def select_within(connection: Connection, folder: str) -> Sequence[tuple[str, str]]:
    """Return the id and the video of each case whose video is in a folder or below it."""
    statement = select(cases.c.case_id, cases.c.video)
    statement = statement.where(cases.c.video.startswith(folder, autoescape=True))
    return [(case_id, video) for case_id, video in connection.execute(statement)]


def count_batches(connection: Connection) -> dict[str, dict[str, int]]:
    """Return the numbers of cases by their stored status, of each batch with a case that is not finished."""
    open_batches = select(cases.c.batch).where(cases.c.status.in_(_UNENDED), cases.c.batch.is_not(None))
    statement = (
        select(cases.c.batch, cases.c.status, func.count())
        .where(cases.c.batch.in_(open_batches))
        .group_by(cases.c.batch, cases.c.status)
    )
    counts: dict[str, dict[str, int]] = {}
    for batch, status, number in connection.execute(statement):
        counts.setdefault(batch, {})[status] = int(number)
    return counts


def _sifted(connection: Connection, statement: Select[Any], sifting: Sifting, at_work: AtWork) -> Select[Any]:
    if sifting.statuses:
        statement = statement.where(or_(*(_seen_as(status, at_work) for status in sifting.statuses)))
    if sifting.sites:
        named = [site for site in sifting.sites if site is not None]
        conditions = [cases.c.site.in_(named)] if named else []
        statement = statement.where(
            or_(*conditions, *([cases.c.site.is_(None)] if None in sifting.sites else []))
        )
    if sifting.assigned is not None:
        statement = statement.where(cases.c.assigned == sifting.assigned)
    if sifting.diagnosed:
        statement = statement.where(cases.c.diagnosis != "")
    for word in sifting.words.lower().split():
        text = _text()
        if (
            connection.dialect.name != "sqlite" or not word.isascii()
        ):  # SQLite's LIKE knows both cases of ASCII
            text = _lower(connection, text)
        statement = statement.where(text.contains(_plain(word), autoescape=True))
    return statement


def _seen_as(status: str, at_work: AtWork) -> ColumnElement[bool]:
    """Return the condition that people see a case with a status."""
    if status == "running":
        return _one_of(at_work.running)
    stored = "running" if status == "interrupted" else status
    seen = cases.c.status == stored
    if stored in TAKEN and (held := at_work.running | at_work.queued):
        seen = and_(seen, cases.c.case_id.not_in(held))
    return or_(seen, _one_of(at_work.queued)) if status == "queued" else seen


def _one_of(case_ids: Collection[str]) -> ColumnElement[bool]:
    return cases.c.case_id.in_(case_ids) if case_ids else false()


def _order(connection: Connection, order: Order, at_work: AtWork) -> list[ColumnElement[Any]]:

    def by_bytes(text: ColumnElement[Any]) -> ColumnElement[Any]:
        """Sort as SQLite does; the language of a PostgreSQL server would be another order, and slower."""
        return collate(text, "C") if connection.dialect.name == "postgresql" else text

    newest = [cases.c.created.desc(), cases.c.case_id.desc()]
    columns: dict[Order, list[ColumnElement[Any]]] = {
        "newest first": [],
        "highest confidence first": [func.coalesce(cases.c.confidence, 0.0).desc()],
        "lowest confidence first": [func.coalesce(cases.c.confidence, 2.0)],
        "diagnosis, A to Z": [
            case((cases.c.diagnosis == "", 1), else_=0),
            by_bytes(_lower(connection, cases.c.diagnosis)),
        ],
        "site, A to Z": [case((cases.c.site.is_(None), 1), else_=0), by_bytes(cases.c.site)],
        "status": [by_bytes(_status(at_work))],
        "model": [by_bytes(cases.c.model)],
    }
    return [cases.c.created, cases.c.case_id] if order == "oldest first" else [*columns[order], *newest]


def _status(at_work: AtWork) -> ColumnElement[str]:
    """Return the status as people see it."""
    return case(
        (_one_of(at_work.running), "running"),
        (_one_of(at_work.queued), "queued"),
        (cases.c.status == "running", "interrupted"),
        else_=cases.c.status,
    )


def _text() -> ColumnElement[str]:
    """Return what the words are looked for in."""
    text: ColumnElement[str] = cases.c.case_id + "\n" + cases.c.video + "\n" + cases.c.diagnosis
    for column in (cases.c.site, cases.c.signed_by, cases.c.comment, cases.c.assigned, cases.c.batch):
        text = text + "\n" + func.coalesce(column, "")
    return text


def _lower(connection: Connection, text: ColumnElement[str]) -> ColumnElement[str]:
    return func.lower(text) if connection.dialect.name == "postgresql" else getattr(func, LOWER)(text)


def _plain(word: str) -> str:
    """Return a word that both databases take."""
    return word.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
