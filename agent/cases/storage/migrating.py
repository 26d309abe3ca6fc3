"""Migrations: the table of an earlier version is brought to this version at the first write.

The steps are in ``migrations/versions`` and run by Alembic. They run within the transaction of that write, so a kill
leaves the table as it was.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from videopath.agent.cases.storage.tables import cases
from videopath.core.errors import CaseError

REVISIONS = ("0001", "0002", "0003", "0004")
"""All revisions that this version knows, in order."""
VERSION_TABLE = "videopath_revision"
"""Not Alembic's usual name: a platform may have tables of its own beside ours."""
SCRIPTS = Path(__file__).parent / "migrations"

_MIGRATING = threading.Lock()
"""Alembic keeps what it migrates in module globals: one library at a time in a process."""


def is_current(revision: str | None) -> bool:
    """Return whether a revision is this version's."""
    return revision == REVISIONS[-1]


def revision_of(connection: Connection, database: str) -> str | None:
    """Return the revision of the table; None if it was made before there were revisions, or if there is no table.

    Args:
        connection: A connection.
        database: How errors name the database.

    Raises:
        CaseError: A newer version of VideoPath wrote to this library.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if revision is not None and revision not in REVISIONS:
        raise CaseError(
            f"A newer version of VideoPath wrote to the case library in {database} (revision {str(revision)[:40]}; this "
            f"version knows {REVISIONS[-1]}): install the newer version."
        )
    return revision


def has_cases(connection: Connection) -> bool:
    """Return whether there is a table of cases."""
    return inspect(connection).has_table(cases.name)


def read_as_current(connection: Connection) -> None:
    """Let the statements of this version read a table of an earlier one, which stays as it is.

    A view for this connection alone adds the missing columns, as NULL. Both databases look for temporary names first.
    """
    present = {column["name"] for column in inspect(connection).get_columns(cases.name)}
    missing = [column.name for column in cases.columns if column.name not in present]
    if not missing:
        return
    schema = "main" if connection.dialect.name == "sqlite" else inspect(connection).default_schema_name
    added = ", ".join(f"CAST(NULL AS TEXT) AS {name}" for name in missing)
    quoted = connection.dialect.identifier_preparer.quote(str(schema))
    connection.exec_driver_sql(
        f"CREATE TEMPORARY VIEW {cases.name} AS SELECT *, {added} FROM {quoted}.{cases.name}"
    )


def migrate(connection: Connection) -> None:
    """Bring the table to this version within the connection's transaction. A missing table is created."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _MIGRATING:
        command.upgrade(config, "head")
