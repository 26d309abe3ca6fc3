"""Small tables; Markdown in their cells is not read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from videopath.app.web.components.shared.inert import inert


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Draw a table; cells may hold words of models, records and people."""
    cells = [[inert(cell) for cell in row] for row in rows]
    columns = {name: [row[index] for row in cells] for index, name in enumerate(head)}
    st.table(columns, border="horizontal", hide_index=True)
