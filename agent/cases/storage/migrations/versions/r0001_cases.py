"""The table of cases. Libraries from before there were revisions have it already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table unless it exists."""
    op.create_table(
        "cases",
        sa.Column("case_id", _SORTED, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("video", sa.Text, nullable=False),
        sa.Column("site", sa.Text),
        sa.Column("diagnosis", sa.Text, nullable=False),
        sa.Column("confidence", sa.Double),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("created", _SORTED, nullable=False),
        sa.Column("updated", sa.Text, nullable=False),
        sa.Column("signed_by", sa.Text),
        sa.Column("signed_at", sa.Text),
        sa.Column("comment", sa.Text),
        if_not_exists=True,
    )
