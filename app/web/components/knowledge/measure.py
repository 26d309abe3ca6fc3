"""The measure of a knowledge base: how often the vote of its cases is right, what it mistakes, and what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.figures import measure as tabled
from videopath.app.figures.plots import Dot, confusion, dots, line
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.words import explained
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    from videopath.app.figures.plots import Plot
    from videopath.knowledge import KnowledgeBase, Measure

_MISTAKES = 8  # that the text alternative of the plot names


def measure_of(base: KnowledgeBase) -> None:
    """Draw the measure, or why there is none, and what to add."""
    measure = base.measure if base.voting_encoder is not None else None
    if measure is None:
        st.info(tabled.NOT_MEASURED, icon=":material/straighten:")
    else:
        _measured(measure)
    st.header("What to add", anchor=False)
    rows = tabled.missing(measure, base.info().sites, list(SITES))
    if rows:
        table(tabled.MISSING, rows)
    else:
        st.text("Every diagnosis is measured well enough, and every site has cases.")


def _measured(measure: Measure) -> None:
    st.header("How often its cases are right", anchor=False, help=explained("vote", "vouched for"))
    st.write(inert(tabled.summary(measure)))
    left, right = st.columns(2, gap="large")
    with left:
        _curve(
            "answered",
            "If only the surest are answered",
            [(point.answered, point.accuracy) for point in measure.by_answered],
            "cases that are answered, the surest first",
        )
    with right:
        _curve(
            "each",
            "With more cases",
            [(float(point.each), point.accuracy) for point in measure.curve],
            "cases of each diagnosis",
        )
    _table(
        "Both as tables",
        (tabled.ANSWERED, tabled.by_answered(measure)),
        (tabled.CURVE[:2], _plain_curve(measure)),
    )
    _table("By site", (tabled.SITES, tabled.sites(measure)), folded=False)
    words = "; ".join(f"{row[0]} {row[4]}" for row in tabled.diagnoses(measure))
    st.subheader("By diagnosis", anchor=False)
    st.altair_chart(_plot(measure), width="stretch", key="measure_by_diagnosis", alt=words)
    _table("By diagnosis as a table", (tabled.DIAGNOSES, tabled.diagnoses(measure)))
    _confusions(measure)
    if measure.models:
        _table("Together with a model", (tabled.MODELS, tabled.models(measure)), folded=False)


def _curve(key: str, title: str, points: list[tuple[float, float]], x_title: str) -> None:
    st.subheader(title, anchor=False)
    if not points:
        st.caption(
            "There are too few cases to measure it, or an older version measured it: measure it again."
        )
        return
    share = key == "answered"
    words = "; ".join(f"{x:.0%}: {y:.0%}" if share else f"{x:.0f}: {y:.0%}" for x, y in points)
    st.altair_chart(
        line(points, x_title, "right of these", palette(), share=share),
        width="stretch",
        key=f"measure_by_{key}",
        alt=f"Right answers by {x_title}. {words}",
    )


def _confusions(measure: Measure) -> None:
    st.header("What it mistakes for what", anchor=False)
    if not measure.confusions:
        st.text("It mistook no diagnosis for another.")
        return
    counts: dict[str, dict[str, int]] = {}
    for wrong in measure.confusions:
        counts.setdefault(wrong.truth, {})
        counts.setdefault(wrong.said, {})
        counts[wrong.truth][wrong.said] = counts[wrong.truth].get(wrong.said, 0) + wrong.cases
    words = "; ".join(f"{c.truth} called {c.said}, {c.cases}" for c in measure.confusions[:_MISTAKES])
    st.caption(
        "Rows are the true diagnoses, columns what the cases said, by the rows' numbers. Only mistakes are counted."
    )
    st.altair_chart(
        confusion(counts, palette()),
        width="stretch",
        key="measure_confusions",
        alt=f"The most frequent mistakes: {words}",
    )
    _table("Mistakes as a table", (tabled.CONFUSIONS, tabled.confusions(measure, len(measure.confusions))))


def _table(title: str, *tables: tuple[tuple[str, ...], tabled.Rows], folded: bool = True) -> None:
    filled = [(head, rows) for head, rows in tables if rows]
    if not filled:
        return
    if not folded:
        st.subheader(title, anchor=False)
    with st.expander(title) if folded else st.container():
        for head, rows in filled:
            table(head, rows)


def _plain_curve(measure: Measure) -> tabled.Rows:
    return [row[:2] for row in tabled.curve(measure)]


def _plot(measure: Measure) -> Plot:
    rows = {
        f"{row.diagnosis} ({row.cases} of {row.groups} groups)": [
            Dot("cases", row.accuracy.value, row.accuracy.low, row.accuracy.high)
        ]
        for row in measure.diagnoses
        if row.accuracy
    }
    return dots(rows, "share of right votes, own group left out", palette())
