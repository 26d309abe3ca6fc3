"""The plots of an evaluation. Each has a text for those who cannot see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from videopath.app.web.parts.palette import palette

if TYPE_CHECKING:
    import altair

    from videopath.agent.evaluation.clips import Share
    from videopath.agent.evaluation.kept import ConfidenceBin, RiskPoint

    Plot = altair.LayerChart | altair.FacetChart

_ROW = 40  # pixels of a class: its name, under it its interval
_HEIGHT = 300


def by_class(classes: Mapping[str, Share]) -> Plot:
    """Accuracy per class, a point with its 95% interval; the name stands above it."""
    import altair as alt
    import pandas  # noqa: F401 - whole, before altair asks for it: the worker may be importing it right now

    ink = palette()
    rows = [
        {
            "place": place,
            "name": f"{name}  ·  {share.value:.0%} of {share.count}",
            "accuracy": share.value,
            "low": share.low,
            "high": share.high,
        }
        for place, (name, share) in enumerate(classes.items())
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0)),
        tooltip=[
            alt.Tooltip("name:N", title="class"),
            *(alt.Tooltip(f"{name}:Q", format=".1%") for name in ("accuracy", "low", "high")),
        ],
    )
    x = alt.X("low:Q", title="right answers, with the 95% interval", scale=_unit(), axis=_percent())
    names = base.mark_text(align="left", dy=-9, fontSize=13, color=ink.text).encode(
        x=alt.value(0), text="name:N"
    )
    ranges = base.mark_rule(strokeWidth=3, color=ink.soft, yOffset=9).encode(x=x, x2="high:Q")
    points = base.mark_point(filled=True, size=90, opacity=1, color=ink.accent, yOffset=9).encode(
        x="accuracy:Q"
    )
    return alt.layer(ranges, points, names).properties(height=_ROW * len(rows) + 50)


def risk_coverage(points: Sequence[RiskPoint], answered: tuple[float, float] | None) -> Plot:
    """Risk over coverage; ``answered``: coverage and risk where the agent itself draws the line."""
    import altair as alt
    import pandas  # noqa: F401 - whole, before altair asks for it: the worker may be importing it right now

    ink = palette()
    rows = [{"coverage": p.coverage, "risk": p.risk, "confidence": p.confidence} for p in points]
    x = alt.X("coverage:Q", title="share of clips answered, the surest first", scale=_unit(), axis=_percent())
    y = alt.Y("risk:Q", title="wrong answers among them", axis=alt.Axis(format=".0%"))
    line = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(color=ink.accent, strokeWidth=2.5, interpolate="step-before")
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip(f"{name}:Q", format=".1%", title=title)
                for name, title in (
                    ("coverage", "answered"),
                    ("risk", "wrong"),
                    ("confidence", "confidence from"),
                )
            ],
        )
    )
    layers: list[Any] = [line]
    if answered is not None:
        here = alt.Chart(
            alt.Data(values=[{"coverage": answered[0], "risk": answered[1], "words": "the agent"}])
        ).encode(x=x, y=y)
        layers.append(here.mark_point(filled=True, size=110, opacity=1, color=ink.text, shape="diamond"))
        layers.append(here.mark_text(align="right", dx=-9, dy=-9, color=ink.text).encode(text="words:N"))
    return alt.layer(*layers).properties(height=_HEIGHT)


def reliability(bins: Sequence[ConfidenceBin]) -> Plot:
    """Confidence against how often it was right; on the dashed line the two agree."""
    import altair as alt
    import pandas  # noqa: F401 - whole, before altair asks for it: the worker may be importing it right now

    ink = palette()
    rows = [
        {
            "confidence": b.confidence,
            "right": b.right.value,
            "low": b.right.low,
            "high": b.right.high,
            "clips": b.right.count,
        }
        for b in bins
    ]
    x = alt.X("confidence:Q", title="confidence", scale=_unit(), axis=_percent())
    y = alt.Y("right:Q", title="right answers, with the 95% interval", scale=_unit(), axis=_percent())
    ideal = (
        alt.Chart(alt.Data(values=[{"confidence": 0, "right": 0}, {"confidence": 1, "right": 1}]))
        .mark_line(strokeDash=[5, 5], color=ink.soft)
        .encode(x=x, y=y)
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=x,
        tooltip=[
            *(alt.Tooltip(f"{name}:Q", format=".1%") for name in ("confidence", "right", "low", "high")),
            alt.Tooltip("clips:Q"),
        ],
    )
    ranges = base.mark_rule(strokeWidth=2, color=ink.soft).encode(
        y=alt.Y("low:Q", scale=_unit()), y2="high:Q"
    )
    size = alt.Size("clips:Q", scale=alt.Scale(range=[40, 400]), legend=None)
    points = base.mark_point(filled=True, opacity=1, color=ink.accent).encode(y=y, size=size)
    words = base.mark_text(align="right", dx=-9, dy=-9, color=ink.text).encode(y=y, text="clips:Q")
    return alt.layer(ideal, ranges, points, words).properties(height=_HEIGHT)


def _unit() -> Any:
    import altair as alt

    return alt.Scale(domain=[0, 1])


def _percent() -> Any:
    import altair as alt

    return alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
