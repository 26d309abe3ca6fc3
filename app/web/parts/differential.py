"""The differential as bars with their numbers, and as a table for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from videopath.agent.records import Candidate
from videopath.app.web.parts.palette import palette
from videopath.app.web.parts.tables import table

if TYPE_CHECKING:
    import altair

_ROW = 44  # pixels of a candidate: its name, under it its bar
_FEWEST, _MOST = 3, 8  # bars; the table has them all
_SMALL = 0.005  # probability below which a bar tells nothing


def differential(candidates: Sequence[Candidate]) -> None:
    """The candidates with their probabilities, best first."""
    with st.container(key="differential"):
        st.subheader("Differential", anchor=False)
        if not candidates:
            st.text("No diagnosis yet.")
            return
        shown = [c for n, c in enumerate(candidates[:_MOST]) if n < _FEWEST or c.probability >= _SMALL]
        st.altair_chart(_bars(shown), width="stretch", alt=described(shown))
        with st.expander(f"All {len(candidates)} as a table, with what supports each", type="compact"):
            rows = [(c.label, f"{c.probability:.1%}", "; ".join(c.support) or "–") for c in candidates]
            table(("diagnosis", "probability", "support"), rows)


def described(candidates: Sequence[Candidate]) -> str:
    """The chart in words."""
    return "Differential: " + ", ".join(f"{c.label} {c.probability:.0%}" for c in candidates)


def _bars(candidates: Sequence[Candidate]) -> altair.LayerChart:
    import altair as alt

    ink = palette()
    rows = [
        {"place": place, "label": c.label, "probability": c.probability, "best": place == 0}
        for place, c in enumerate(candidates)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("place:O", axis=None, scale=alt.Scale(padding=0)),
        x=alt.X("probability:Q", axis=None, scale=alt.Scale(domain=[0, 1.15])),
        tooltip=[alt.Tooltip("label:N"), alt.Tooltip("probability:Q", format=".1%")],
    )
    colour = alt.condition("datum.best", alt.value(ink.accent), alt.value(ink.soft))
    bars = base.mark_bar(height=13, cornerRadiusEnd=3, yOffset=8).encode(color=colour)
    numbers = base.mark_text(align="left", dx=6, dy=8, color=ink.text, fontWeight="bold").encode(
        text=alt.Text("probability:Q", format=".1%")
    )
    names = base.mark_text(align="left", dy=-10, fontSize=14, color=ink.text).encode(
        x=alt.value(0), text="label:N"
    )
    return (
        alt.layer(bars, numbers, names)
        .properties(height=_ROW * len(rows))
        .configure_view(stroke=None)
        .configure(background="transparent")
    )
