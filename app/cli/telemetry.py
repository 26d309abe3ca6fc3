"""What libraries tell their makers: nothing, unless the user's environment says otherwise."""

from __future__ import annotations

import os

USAGE_STATS = "STREAMLIT_BROWSER_GATHER_USAGE_STATS"
"""Streamlit's own variable; where it is not set, VideoPath turns the statistics off."""


def shares_usage_stats() -> bool:
    """Whether the user's environment lets the pages send Streamlit's statistics."""
    return os.environ.get(USAGE_STATS, "false").strip().lower() == "true"
