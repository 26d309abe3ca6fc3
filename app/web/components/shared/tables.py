"""Small tables whose every cell is inert text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from videopath.app.web.components.shared.inert import inert


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Draw rows under a head; words of models, records and people may stand in any cell."""
    cells = [[inert(cell) for cell in row] for row in rows]
    columns = {name: [row[place] for row in cells] for place, name in enumerate(head)}
    st.table(columns, border="horizontal", hide_index=True)
