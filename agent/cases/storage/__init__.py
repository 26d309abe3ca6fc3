"""The table of cases and the locks of cases: in SQLite with lock files, or in PostgreSQL with its own locks."""
