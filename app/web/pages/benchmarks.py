"""The figures of the last evaluation."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    """What was measured."""
    st.title("Benchmarks")
    st.info("There is no evaluation yet: run `videopath evaluate`.")
