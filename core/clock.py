"""The clock: moments as ISO 8601 text in UTC, and such a text for people."""

from __future__ import annotations

from datetime import UTC, datetime


def utc() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def now() -> str:
    """Return the present moment as ISO 8601 in UTC with milliseconds: ``2026-01-31T14:25:01.123Z``."""
    return utc().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def today() -> str:
    """Return the present day in UTC: ``2026-01-31``."""
    return f"{utc():%Y-%m-%d}"


def minute(moment: str) -> str:
    """Return a moment that :func:`now` wrote as people read it, to the minute: ``2026-01-31 14:25``.

    Other texts are cut to 16 characters, so that an empty text stays empty.
    """
    return moment[:16].replace("T", " ")
