"""The summary of a batch as one HTML file: counts, diagnoses, confidences, seconds and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.agent.many.summary import BINS, BatchSummary
from videopath.app.figures.html import render_page
from videopath.app.figures.palette import Palette
from videopath.app.figures.plots import load_altair
from videopath.app.figures.sections import Figure, Section, moment
from videopath.app.figures.tables import Tabled
from videopath.core.clock import now
from videopath.core.files import write_text
from videopath.core.notice import RESEARCH_USE

if TYPE_CHECKING:
    from videopath.app.figures.plots import Plot

SUMMARY = "summary.html"

_SHOWN = 20  # diagnoses in the plot; the table has all
_BAR, _AXIS = 24, 50  # pixels
_NO_PLOTS = (
    " The plots need the package vl-convert-python; it is not installed, so that only tables are shown."
)


def write_summary(summary: BatchSummary, out: Path) -> Path:
    """Write ``summary.html`` to the folder of a batch, as a whole or not at all, and return its path."""
    path = out / SUMMARY
    write_text(path, summary_page(summary, out.absolute().name))
    return path


def summary_page(summary: BatchSummary, name: str) -> str:
    """Return the page. Without the package that draws, it holds tables only."""
    sections = [
        _rows(summary),
        _diagnoses(summary),
        _confidences(summary),
        _seconds(summary),
        _reasons(summary),
    ]
    if find_spec("vl_convert") is None:
        first = sections[0]
        sections = [Section(s.key, s.title, s.lead, tables=s.tables) for s in sections]
        sections[0] = Section(first.key, first.title, first.lead + _NO_PLOTS, tables=first.tables)
    facts = [
        *(("Weights", f"sha256 {sha256}") for sha256 in summary.weights),
        *(("Knowledge", f"sha256 {sha256}") for sha256 in summary.knowledge),
        *(("Device", f"{device}: {rows:,} rows") for device, rows in summary.devices.items()),
    ]
    return render_page(
        "batch.html.jinja",
        RESEARCH_USE,
        sections,
        summary=summary,
        name=name,
        facts=facts,
        version=version("videopath-agent"),
        created=moment(now()),
    )


def _rows(summary: BatchSummary) -> Section:
    counts = {status: rows for status, rows in summary.statuses.items() if rows}
    lead = (
        "Refused: the row or its file cannot be used. Failed: something broke, and another try may help. Abstained: nobody "
        "vouches for the diagnosis, so it is not given out."
    )
    return Section(
        "rows",
        "Rows by status",
        lead,
        [_figure("rows", counts, "rows")] if counts else [],
        [Tabled("Rows by status", ("status", "rows"), [(name, f"{n:,}") for name, n in counts.items()])],
    )


def _diagnoses(summary: BatchSummary) -> Section:
    if not summary.diagnoses:
        return Section("diagnoses", "Diagnoses", "No row has a diagnosis.")
    statuses = [one for one in summary.statuses if any(one in of for of in summary.diagnoses.values())]
    given = {name: of["done"] for name, of in summary.diagnoses.items() if of.get("done")}
    rows = [
        (name, *(f"{of.get(status, 0):,}" for status in statuses)) for name, of in summary.diagnoses.items()
    ]
    lead = "A diagnosis is given out only in rows that are done; in others it is the leading one."
    return Section(
        "diagnoses",
        "Diagnoses",
        lead,
        [_figure("diagnoses", dict(list(given.items())[:_SHOWN]), "rows that are done")] if given else [],
        [Tabled("Diagnoses", ("diagnosis", *statuses), rows)],
    )


def _confidences(summary: BatchSummary) -> Section:
    lead = "How often such an answer is right, of rows with a fitted confidence."
    if summary.without_confidence:
        lead += f" {summary.without_confidence:,} rows have none."
    bins = {f"{n / BINS:.1f}–{(n + 1) / BINS:.1f}": rows for n, rows in enumerate(summary.confidences)}
    if not any(bins.values()):
        return Section("confidences", "Confidence", lead)
    rows = [(name, f"{count:,}") for name, count in bins.items()]
    return Section(
        "confidences",
        "Confidence",
        lead,
        [_figure("confidences", bins, "rows")],
        [Tabled("Confidence", ("confidence", "rows"), rows)],
    )


def _seconds(summary: BatchSummary) -> Section:
    if not summary.seconds:
        return Section("seconds", "Seconds", "No case was worked on.")
    bins = _bins(summary.seconds)
    lead = f"Seconds of all steps of a case; the median is {summary.median_seconds:.1f} s, the longest {summary.seconds[-1]:.1f} s."
    return Section(
        "seconds",
        "Seconds",
        lead,
        [_figure("seconds", bins, "cases")],
        [Tabled("Seconds", ("seconds", "cases"), [(name, f"{count:,}") for name, count in bins.items()])],
    )


def _bins(seconds: Sequence[float]) -> dict[str, int]:
    """Return (from–to) → cases, in bins that double from the shortest case on."""
    edges = [seconds[0]]
    while edges[-1] <= seconds[-1]:
        edges.append(max(edges[-1] * 2, edges[-1] + 0.1))
    pairs = list(zip(edges, edges[1:], strict=False))
    counts = dict.fromkeys((f"{low:.1f}–{high:.1f}" for low, high in pairs), 0)
    for one in seconds:
        low, high = next(pair for pair in pairs if pair[0] <= one < pair[1])
        counts[f"{low:.1f}–{high:.1f}"] += 1
    return counts


def _reasons(summary: BatchSummary) -> Section:
    rows = [(one.reason, one.status, f"{one.rows:,}") for one in summary.reasons]
    if not rows:
        return Section("reasons", "Refused and failed", "No row was refused, and none failed.")
    table = Tabled("Reasons", ("reason", "status", "rows"), rows)
    lead = "PATH and FILE stand for the names of the row's file."
    return Section("reasons", "Refused and failed", lead, tables=[table])


def _figure(key: str, counts: Mapping[str, int], title: str) -> Figure:
    words = f"Bars: {title}. " + ", ".join(f"{name}: {count:,}" for name, count in counts.items())
    return Figure(key, "", words, lambda ink: _bars(counts, title, ink))


def _bars(counts: Mapping[str, int], title: str, ink: Palette) -> Plot:
    """Draw a bar with its number for each name, in their order."""
    alt = load_altair()
    values: list[dict[str, Any]] = [{"name": name, "rows": count} for name, count in counts.items()]
    names = alt.Axis(labelLimit=170, labelFontSize=12, title=None, ticks=False, domain=False)
    y = alt.Y("name:N", sort=None, axis=names)
    x = alt.X("rows:Q", title=title, axis=alt.Axis(tickMinStep=1, tickCount=4, format=",d", titleFontSize=12))
    base = alt.Chart(alt.Data(values=values)).encode(y=y, x=x)
    bars = base.mark_bar(color=ink.accent, height=_BAR - 8)
    numbers = base.mark_text(align="left", dx=4, color=ink.text, fontSize=12).encode(
        text=alt.Text("rows:Q", format=",d")
    )
    return alt.layer(bars, numbers).properties(height=_BAR * len(counts) + _AXIS)
