"""The queue that several workers share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table and its index."""
    op.create_table(
        "queue",
        sa.Column("case_id", _SORTED, primary_key=True),
        sa.Column("since", _SORTED, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_index("queue_by_since", "queue", ["since", "case_id"], if_not_exists=True)
