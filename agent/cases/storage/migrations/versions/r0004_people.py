"""Who vouches for a case, whose it is and which batch it belongs to; and what people did with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, and create the table and the indexes."""
    for name in ("vouched_by", "assigned", "batch"):
        op.add_column("cases", sa.Column(name, sa.Text))
    op.create_index("cases_by_assigned", "cases", ["assigned", "created", "case_id"], if_not_exists=True)
    op.create_index("cases_by_batch", "cases", ["batch", "status"], if_not_exists=True)
    op.create_table(
        "events",
        sa.Column("case_id", _SORTED, primary_key=True),
        sa.Column("moment", _SORTED, primary_key=True),
        sa.Column("what", _SORTED, primary_key=True),
        sa.Column("who", _SORTED, primary_key=True),
        sa.Column("detail", sa.Text, nullable=False),
        if_not_exists=True,
    )
