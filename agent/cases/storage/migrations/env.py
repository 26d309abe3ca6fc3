"""Alembic runs this file. It uses the connection, and the transaction, of :func:`videopath.agent.cases.storage.migrating.migrate`."""

from __future__ import annotations

from alembic import context

from videopath.agent.cases.storage.migrating import VERSION_TABLE
from videopath.agent.cases.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
