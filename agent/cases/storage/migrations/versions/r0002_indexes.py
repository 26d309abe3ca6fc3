"""Indexes, so that one page of a long worklist is read without the others."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the indexes."""
    for name, columns in {
        "cases_by_created": ["created", "case_id"],
        "cases_by_status": ["status", "created", "case_id"],
        "cases_by_site": ["site", "created", "case_id"],
    }.items():
        op.create_index(name, "cases", columns, if_not_exists=True)
