"""The figures of ``videopath evaluate SET`` on the terminal: systems, differences, controls and pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from videopath.app.figures import tables
from videopath.app.figures.tables import Measured, Tabled

if TYPE_CHECKING:
    from videopath.evaluation.testsets.summary import SetReport

_PAIRS_LISTED = 5
_WITHOUT_INTERVAL = (4, 7, 8)  # columns of the controls; a terminal is too narrow for all intervals


def show_report(report: SetReport) -> None:
    """Print all tables of a report."""
    from videopath.app.cli.console import plain, stdout, table

    console = stdout()
    for title, figures in _tables(report):
        console.print(plain(title, "bold"), soft_wrap=True)
        console.print(table(figures.head, figures.texts()))
        console.print()
    for caution in report.cautions:
        console.print(plain(caution, "bold"), soft_wrap=True)
    console.print(plain(report.notice), soft_wrap=True)


def _tables(report: SetReport) -> Iterator[tuple[str, Tabled]]:
    facts = report.set
    yield (
        f"{facts.name}: {facts.questions:,} questions of {facts.groups:,} groups, {facts.with_diagnosis:,} with a diagnosis; "
        f"{report.model}. 95% intervals by a bootstrap over groups.",
        tables.figures(report),
    )
    if any(system.judged for system in report.systems):
        yield _judge_title(report), tables.judged(report)
    for differences in tables.differences(report):
        yield f"{differences.title} on the same questions, and McNemar's exact test of accuracy", differences
    if report.controls:
        yield (
            "Controls: the metric before, and with something wrong in the video or the question",
            _narrow(tables.controls(report)),
        )
    if report.pairs:
        yield "Near-identical cases of different diagnoses: both right", tables.pairs(report)
        nearest = tables.nearest(report, _PAIRS_LISTED)
        yield nearest.title, nearest


def _judge_title(report: SetReport) -> str:
    judged = next(system.judged for system in report.systems if system.judged)
    return f"Judge {judged.judge}, {judged.parser} parser, {judged.date}"


def _narrow(figures: Tabled) -> Tabled:
    rows = [
        tuple(
            cell.value if column in _WITHOUT_INTERVAL and isinstance(cell, Measured) else cell
            for column, cell in enumerate(row)
        )
        for row in figures.rows
    ]
    return replace(figures, rows=rows)
