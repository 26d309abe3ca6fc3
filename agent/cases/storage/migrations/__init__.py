"""The migrations of the case table, for Alembic."""
