"""The plots of an evaluation. Shapes and words repeat what colours show.

Each plot is drawn for a width of about 350 pixels, a narrow screen, and grows with the space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from videopath.app.figures.palette import Palette

if TYPE_CHECKING:
    import altair

    from videopath.evaluation.kept import ConfidenceBin, RiskPoint
    from videopath.evaluation.stats.estimates import Share

    Plot = altair.LayerChart

SHOWN = 16
"""Largest number of diagnoses in a confusion matrix: those with the most questions."""

_HEIGHT = 300
_NAME, _LINE, _GAP = 20, 13, 8  # pixels: a row's name, each line below it, and the gap between two rows
_CELL = 20  # pixels: height of a cell of the confusion matrix
_AXIS = 62  # pixels: an axis with its title, and a legend
_NEAR: dict[str, Any] = {"labelPadding": 4, "titlePadding": 6, "labelFontSize": 12, "titleFontSize": 12}
_LIMIT = 320  # pixels of a name; longer ones end in "…"
_SHAPES = ("circle", "square", "triangle-up", "cross")
_DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3])


@dataclass(frozen=True)
class Dot:
    """A value in [0, 1] with its interval."""

    series: str
    """Series, such as a system."""
    value: float
    low: float
    high: float
    before: float | None = None
    """Another value that is marked on the line."""


@dataclass(frozen=True)
class Curve:
    """Risk–coverage of one system."""

    series: str
    points: Sequence[RiskPoint]
    answered: tuple[float, float] | None
    """Coverage and risk at the system's own threshold."""


def dots(rows: Mapping[str, Sequence[Dot]], title: str, ink: Palette) -> Plot:
    """Draw each row's name, and below it one line per dot with its 95% interval. ``before`` is an upright tick."""
    alt = load_altair()
    titles, lines, height = _stacked(rows)
    series = list(dict.fromkeys(line["series"] for line in lines))
    tooltip = [
        alt.Tooltip("name:N", title=" "),
        *([alt.Tooltip("series:N", title="system")] if len(series) > 1 else []),
        *(alt.Tooltip(f"{name}:Q", format=".1%") for name in ("value", "low", "high")),
    ]
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False, zero=False))
    x = alt.X("low:Q", title=title, scale=_unit(), axis=_percent())
    base = alt.Chart(alt.Data(values=lines)).encode(y=y, color=_colour(series, ink), tooltip=tooltip)
    names = (
        alt.Chart(alt.Data(values=titles))
        .mark_text(align="left", baseline="middle", fontSize=13, limit=_LIMIT, color=ink.text)
        .encode(x=alt.value(0), y=y, text="name:N")
    )
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=55, opacity=1).encode(x="value:Q", shape=_shape(series)),
        names,
    ]
    before = [line for line in lines if line["before"] is not None]
    if before:
        ticks = alt.Chart(alt.Data(values=before)).encode(y=y, x="before:Q", color=_colour(series, ink))
        layers.append(ticks.mark_tick(orient="vertical", thickness=2.5, size=_LINE - 2, opacity=1))
    return alt.layer(*layers).properties(height=height + _AXIS)


def by_class(classes: Mapping[str, Mapping[str, Share]], ink: Palette) -> Plot:
    """Draw accuracy by class, from class → series → share."""
    rows = {
        _class_name(name, shares): [Dot(of, s.value, s.low, s.high) for of, s in shares.items()]
        for name, shares in classes.items()
    }
    return dots(rows, "right answers, with the 95% interval", ink)


def risk_coverage(curves: Sequence[Curve], ink: Palette) -> Plot:
    """Draw risk over coverage, one line per system. A diamond marks the system's own threshold."""
    alt = load_altair()
    series = [curve.series for curve in curves]
    rows = [
        {"series": c.series, "coverage": p.coverage, "risk": p.risk, "confidence": p.confidence}
        for c in curves
        for p in c.points
    ]
    x = alt.X("coverage:Q", title="share answered, the surest first", scale=_unit(), axis=_percent())
    y = alt.Y("risk:Q", title="wrong answers among them", axis=alt.Axis(format=".0%", tickCount=5, **_NEAR))
    tooltips = (("coverage", "answered"), ("risk", "wrong"), ("confidence", "confidence from"))
    colour = _colour(series, ink)
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2.5, interpolate="step-before")
        .encode(
            x=x,
            y=y,
            color=colour,
            strokeDash=alt.StrokeDash("series:N", scale=_scale(series, _DASHES), legend=_legend(series)),
            tooltip=[
                *([alt.Tooltip("series:N", title="system")] if len(series) > 1 else []),
                *(alt.Tooltip(f"{name}:Q", format=".1%", title=title) for name, title in tooltips),
            ],
        )
    )
    ends = [
        {"series": c.series, "coverage": c.answered[0], "risk": c.answered[1]} for c in curves if c.answered
    ]
    here = alt.Chart(alt.Data(values=ends)).encode(x=x, y=y, color=colour)
    marks = here.mark_point(
        filled=True, size=120, opacity=1, shape="diamond", stroke=ink.text, strokeWidth=0.8
    )
    return alt.layer(lines, marks).properties(height=_HEIGHT)


def line(
    points: Sequence[tuple[float, float]], x_title: str, y_title: str, ink: Palette, *, share: bool
) -> Plot:
    """Draw a line through points (x, y), y in [0, 1].

    Args:
        points: The points.
        x_title: Title of the x axis.
        y_title: Title of the y axis.
        ink: The colours.
        share: Whether x is a share in [0, 1]; otherwise it is a count on a logarithmic axis.
    """
    alt = load_altair()
    x_axis = (
        _percent()
        if share
        else alt.Axis(values=[x for x, _ in points], format="d", labelOverlap=True, **_NEAR)
    )
    base = alt.Chart(alt.Data(values=[{"x": x, "y": y} for x, y in points])).encode(
        x=alt.X(
            "x:Q", title=x_title, axis=x_axis, scale=_unit() if share else alt.Scale(type="log", nice=False)
        ),
        y=alt.Y("y:Q", title=y_title, scale=_unit(), axis=_percent()),
        tooltip=[
            alt.Tooltip("x:Q", title=x_title, format=".0%" if share else "d"),
            alt.Tooltip("y:Q", title=y_title, format=".1%"),
        ],
    )
    marks = base.mark_point(filled=True, size=55, opacity=1, color=ink.accent)
    return alt.layer(base.mark_line(strokeWidth=2.5, color=ink.accent), marks).properties(height=_HEIGHT - 60)


def reliability(bins: Sequence[ConfidenceBin], ink: Palette) -> Plot:
    """Draw confidence against the share of right answers. Both agree on the dashed line; the numbers count answers."""
    alt = load_altair()
    rows = [
        {
            "confidence": b.confidence,
            "right": b.right.value,
            "low": b.right.low,
            "high": b.right.high,
            "answers": b.right.count,
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
            alt.Tooltip("answers:Q"),
        ],
    )
    ranges = base.mark_rule(strokeWidth=2, color=ink.soft).encode(
        y=alt.Y("low:Q", scale=_unit()), y2="high:Q"
    )
    size = alt.Size("answers:Q", scale=alt.Scale(range=[40, 400]), legend=None)
    points = base.mark_point(filled=True, opacity=1, color=ink.accent).encode(y=y, size=size)
    words = base.mark_text(dy=-12, color=ink.text).encode(y="high:Q", text="answers:Q")
    return alt.layer(ideal, ranges, points, words).properties(height=_HEIGHT)


def confusion(counts: Mapping[str, Mapping[str, int]], ink: Palette) -> Plot:
    """Draw the confusion matrix, from true diagnosis → answered diagnosis → questions.

    Rows are true, columns are answered diagnoses, numbered like the rows. Right answers are framed. The last two columns are N, no
    diagnosis, and O, a diagnosis without a row. If there are more than :data:`SHOWN` diagnoses, those with the most questions are shown.
    """
    alt = load_altair()
    titles, cells, columns, height = _matrix(counts)
    y_options = {"axis": None, "scale": alt.Scale(domain=[height, 0], nice=False, zero=False)}
    axis = alt.Axis(
        orient="top", labelAngle=0, labelOverlap=False, ticks=False, domain=False, title="said", **_NEAR
    )
    x = alt.X("column:O", sort=None, axis=axis, scale=alt.Scale(domain=columns, paddingInner=0.08))
    base = alt.Chart(alt.Data(values=cells)).encode(
        x=x,
        tooltip=[alt.Tooltip("true:N"), alt.Tooltip("said:N"), alt.Tooltip("questions:Q")],
    )
    opacity = alt.FillOpacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 0.6]), legend=None)
    stroke = alt.StrokeOpacity("framed:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None)
    squares = base.mark_rect(fill=ink.accent, stroke=ink.soft, strokeWidth=1.2).encode(
        y=alt.Y("y:Q", **y_options), y2="end:Q", fillOpacity=opacity, strokeOpacity=stroke
    )
    numbers = (
        alt.Chart(alt.Data(values=[cell for cell in cells if cell["questions"]]))
        .mark_text(fontSize=12, baseline="middle", color=ink.text)
        .encode(x=x, y=alt.Y("middle:Q", **y_options), text="questions:Q")
    )
    names = (
        alt.Chart(alt.Data(values=titles))
        .mark_text(align="left", baseline="middle", fontSize=12, limit=_LIMIT, color=ink.text)
        .encode(x=alt.value(0), y=alt.Y("y:Q", **y_options), text="name:N")
    )
    return alt.layer(squares, numbers, names).properties(height=height + _AXIS // 2)


def load_altair() -> Any:
    """Import altair for drawing."""
    import altair
    import pandas  # noqa: F401 - imported completely before altair uses it: another thread may be importing it

    return altair


def _class_name(name: str, shares: Mapping[str, Share]) -> str:
    """Return the class name; with one system, its share stands beside it."""
    first = next(iter(shares.values()))
    return f"{name}  ·  {first.value:.0%} of {first.count}" if len(shares) == 1 else name


def _stacked(rows: Mapping[str, Sequence[Dot]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Return names and lines with their positions in pixels from the top, and the total height."""
    titles, lines, y = [], [], 0
    for name, of_row in rows.items():
        titles.append({"y": y + _NAME // 2, "name": name})
        y += _NAME
        for dot in of_row:
            line = {"y": y + _LINE // 2, "name": name, "series": dot.series, "before": dot.before}
            lines.append({**line, "value": dot.value, "low": dot.low, "high": dot.high})
            y += _LINE
        y += _GAP
    return titles, lines, y


def _matrix(
    counts: Mapping[str, Mapping[str, int]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str], int]:
    """Return names and cells with their positions in pixels from the top, the columns' names, and the total height."""
    from videopath.evaluation.testsets.summary import NOTHING

    frequent = sorted(counts, key=lambda name: -sum(counts[name].values()))[:SHOWN]
    diagnoses = [name for name in counts if name in frequent]
    columns = {**{name: str(number) for number, name in enumerate(diagnoses, 1)}, NOTHING: "N"}
    titles, cells, y = [], [], 0
    for name in diagnoses:
        titles.append({"y": y + _NAME // 2, "name": f"{columns[name]}  {name}"})
        row = dict.fromkeys([*columns.values(), "O"], 0)
        for answer, count in counts[name].items():
            row[columns.get(answer, "O")] += count
        y += _NAME
        total = max(1, sum(row.values()))
        names = {column: diagnosis for diagnosis, column in columns.items()}
        for column, count in row.items():
            position = {"y": y, "middle": y + _CELL / 2, "end": y + _CELL, "column": column}
            labels = {"true": name, "said": names.get(column, "another diagnosis"), "questions": count}
            cells.append(
                {**position, **labels, "share": count / total, "framed": int(column == columns[name])}
            )
        y += _CELL + _GAP // 2
    return titles, cells, [*columns.values(), "O"], y


def _colour(series: Sequence[str], ink: Palette) -> Any:
    import altair as alt

    return alt.Color("series:N", scale=_scale(series, ink.series), legend=_legend(series))


def _shape(series: Sequence[str]) -> Any:
    import altair as alt

    return alt.Shape("series:N", scale=_scale(series, _SHAPES), legend=_legend(series))


def _scale(series: Sequence[str], values: Sequence[Any]) -> Any:
    import altair as alt

    return alt.Scale(domain=list(series), range=[values[index % len(values)] for index in range(len(series))])


def _legend(series: Sequence[str]) -> Any:
    """Return a legend above the plot; None for one series."""
    import altair as alt

    return (
        alt.Legend(
            orient="top", title=None, labelFontSize=13, symbolOpacity=1, symbolSize=80, offset=6, padding=0
        )
        if len(series) > 1
        else None
    )


def _unit() -> Any:
    import altair as alt

    return alt.Scale(domain=[0, 1])


def _percent() -> Any:
    import altair as alt

    return alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], **_NEAR)
