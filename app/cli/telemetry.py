"""Usage statistics of libraries: off unless the user's environment turns them on."""

from __future__ import annotations

import os

USAGE_STATS = "STREAMLIT_BROWSER_GATHER_USAGE_STATS"
"""Streamlit's own variable; VideoPath turns the statistics off if it is not set."""


def shares_usage_stats() -> bool:
    """Return whether the environment turns on Streamlit's usage statistics."""
    return os.environ.get(USAGE_STATS, "false").strip().lower() == "true"
