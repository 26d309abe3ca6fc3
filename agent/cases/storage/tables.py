"""The tables of cases, of the queue and of what people did, for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text

_SORTED = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that both databases sort by its bytes."""

metadata = MetaData()

cases = Table(
    "cases",
    metadata,
    Column("case_id", _SORTED, primary_key=True),
    Column("status", Text, nullable=False),
    Column("video", Text, nullable=False),
    Column("site", Text),
    Column("diagnosis", Text, nullable=False),
    Column("confidence", Double),
    Column("model", Text, nullable=False),
    Column("created", _SORTED, nullable=False),
    Column("updated", Text, nullable=False),
    Column("signed_by", Text),
    Column("signed_at", Text),
    Column("comment", Text),
    Column("vouched_by", Text),
    Column("assigned", Text),
    Column("batch", Text),
)

Index("cases_by_created", cases.c.created, cases.c.case_id)
Index("cases_by_status", cases.c.status, cases.c.created, cases.c.case_id)
Index("cases_by_site", cases.c.site, cases.c.created, cases.c.case_id)
Index("cases_by_assigned", cases.c.assigned, cases.c.created, cases.c.case_id)
Index("cases_by_batch", cases.c.batch, cases.c.status)

queue = Table(
    "queue",
    metadata,
    Column("case_id", _SORTED, primary_key=True),
    Column("since", _SORTED, nullable=False),
    Column("decision", Text),
    Column("progress", Text, nullable=False),
    Column("tries", Integer, nullable=False),
)
"""The cases that workers take, oldest first. A case leaves it when it ends, waits for a person, or is stopped."""

Index("queue_by_since", queue.c.since, queue.c.case_id)

events = Table(
    "events",
    metadata,
    Column("case_id", _SORTED, primary_key=True),
    Column("moment", _SORTED, primary_key=True),
    Column("what", _SORTED, primary_key=True),
    Column("who", _SORTED, primary_key=True),
    Column("detail", Text, nullable=False),
)
"""What people did with cases: the audit list. The key says the same twice only once."""
