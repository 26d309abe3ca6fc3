"""The chart of two differentials. Words repeat what its colours show, and a text describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from videopath.app.figures.palette import Palette
from videopath.app.figures.plots import load_altair

if TYPE_CHECKING:
    import altair

    from videopath.agent.cases.records import Candidate

_SLOT = 22  # pixels of a line: a diagnosis, or the bar of a run below it
_LABELS = 8  # most diagnoses of a differential


def differentials(
    first: Sequence[Candidate], second: Sequence[Candidate], names: tuple[str, str], ink: Palette
) -> altair.LayerChart:
    """Draw two differentials: below each diagnosis a bar for each run, with the run's name and the probability."""
    alt = load_altair()
    labels, bars = _lines(first, second, names)
    slots = len(labels) + len(bars)
    y = alt.Y("slot:O", axis=None, scale=alt.Scale(domain=list(range(slots)), paddingInner=0.15))
    x = alt.X("probability:Q", axis=None, scale=alt.Scale(domain=[0, 1.3]))
    colour = alt.Color(
        "run:N", scale=alt.Scale(domain=list(names), range=[ink.accent, ink.soft]), legend=None
    )
    base = alt.Chart(alt.Data(values=bars)).encode(
        y=y,
        x=x,
        tooltip=[alt.Tooltip("run:N"), alt.Tooltip("label:N"), alt.Tooltip("probability:Q", format=".1%")],
    )
    titles = alt.Chart(alt.Data(values=labels)).mark_text(align="left", fontSize=14, color=ink.text)
    words = base.mark_text(align="left", dx=6, fontSize=12, color=ink.text).encode(text="words:N")
    return (
        alt.layer(
            titles.encode(y=y, x=alt.value(0), text="label:N"),
            base.mark_bar(cornerRadiusEnd=2).encode(color=colour),
            words,
        )
        .properties(height=_SLOT * slots)
        .configure_view(strokeWidth=0)
    )


def differentials_in_words(
    first: Sequence[Candidate], second: Sequence[Candidate], names: tuple[str, str]
) -> str:
    """Return the chart in words."""
    return "; ".join(
        f"{name}: " + ", ".join(f"{c.label} {c.probability:.0%}" for c in candidates[:_LABELS])
        for name, candidates in zip(names, (first, second), strict=True)
    )


def _lines(
    first: Sequence[Candidate], second: Sequence[Candidate], names: tuple[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines with a diagnosis and the lines with a bar, numbered from the top."""
    runs = [{c.label: c.probability for c in run} for run in (first, second)]
    distinct = dict.fromkeys(label for run in runs for label in run)
    labels = sorted(distinct, key=lambda label: -max(run.get(label, 0.0) for run in runs))[:_LABELS]
    titles = [{"slot": 3 * index, "label": label} for index, label in enumerate(labels)]
    bars = [
        {
            "slot": 3 * index + 1 + number,
            "label": label,
            "run": name,
            "probability": run.get(label, 0.0),
            "words": f"{name}  {run[label]:.1%}" if label in run else f"{name}  not considered",
        }
        for index, label in enumerate(labels)
        for number, (name, run) in enumerate(zip(names, runs, strict=True))
    ]
    return titles, bars
