"""The differential as bars with numbers, and as a table for people who cannot see the bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from videopath.agent.cases.records import Candidate
from videopath.agent.report.phrases import (
    by_organ,
    candidate_in_words,
    other_organs_in_words,
    shares_in_words,
)
from videopath.agent.report.sections import DIFFERENTIAL_COLUMNS, ReportSection
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.words import explained

_ROW = 40  # pixels of a candidate: its name and its bar below
_FEWEST, _MOST = 3, 8  # bars; the table has all candidates
_SMALL = 0.005  # probability below which a bar cannot be seen


def differential(candidates: Sequence[Candidate], *, few: bool = False) -> None:
    """Draw the candidates with their probabilities, best first; ``few``: only the first ones as bars."""
    with st.container(key="differential", gap="xsmall"):
        st.header(ReportSection.DIFFERENTIAL.value, anchor=False, help=explained("confidence", "vouched for"))
        if not candidates:
            st.text("No diagnosis yet.")
            return
        own, others = by_organ(candidates)
        charted = [
            c
            for n, c in enumerate(own[: _FEWEST if few else _MOST])
            if n < _FEWEST or c.probability >= _SMALL
        ]
        st.vega_lite_chart(spec=_bars(charted), width="stretch", alt=differential_in_words(charted))
        with st.expander(f"Table of all {len(own)}, with their support", type="compact"):
            _table(own)
        if others:
            with st.expander(inert(other_organs_in_words(others)), type="compact", key="other_organs"):
                _table(others)


def _table(candidates: Sequence[Candidate]) -> None:
    rows = [
        (candidate_in_words(c), f"{c.probability:.1%}", *shares_in_words(c), "; ".join(c.support) or "–")
        for c in candidates
    ]
    table(DIFFERENTIAL_COLUMNS, rows)


def differential_in_words(candidates: Sequence[Candidate]) -> str:
    """Return the chart in words."""
    return "Differential: " + ", ".join(f"{candidate_in_words(c)} {c.probability:.0%}" for c in candidates)


def _bars(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """A Vega-Lite chart: each name above its bar, the number at the end of the bar."""
    ink = palette()
    rows = [
        {"rank": rank, "label": candidate_in_words(c), "probability": c.probability}
        for rank, c in enumerate(candidates)
    ]
    colour = {"condition": {"test": "datum.rank == 0", "value": ink.accent}, "value": ink.soft}
    number = {"field": "probability", "type": "quantitative", "format": ".1%"}
    label = {"field": "label", "type": "nominal"}
    text = {"type": "text", "align": "left", "color": ink.text}
    return {
        "data": {"values": rows},
        "height": _ROW * len(rows),
        "background": "transparent",
        "padding": {"top": 4, "bottom": 0, "left": 0, "right": 0},
        "config": {"view": {"stroke": None}},
        "encoding": {
            "y": {"field": "rank", "type": "ordinal", "axis": None, "scale": {"padding": 0}},
            "x": {
                "field": "probability",
                "type": "quantitative",
                "axis": None,
                "scale": {"domain": [0, 1.15]},
            },
            "tooltip": [label, number],
        },
        "layer": [
            {
                "mark": {"type": "bar", "height": 13, "cornerRadiusEnd": 3, "yOffset": 8},
                "encoding": {"color": colour},
            },
            {"mark": {**text, "dx": 6, "dy": 8, "fontWeight": "bold"}, "encoding": {"text": number}},
            {"mark": {**text, "dy": -10, "fontSize": 14}, "encoding": {"x": {"value": 0}, "text": label}},
        ],
    }
