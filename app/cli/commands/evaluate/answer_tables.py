"""The figures of ``videopath evaluate SET`` on the terminal: systems side by side, differences and tests, controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from videopath.app.figures import tables
from videopath.app.figures.tables import Measured, Tabled

if TYPE_CHECKING:
    from videopath.evaluation.testsets.summary import SetReport

_PAIRS_SHOWN = 5
_ALONE = (4, 7, 8)  # columns of the controls that stand without their interval: a terminal is narrow


def show_report(report: SetReport) -> None:
    """All tables on stdout."""
    from videopath.app.cli.console import plain, stdout, table

    console = stdout()
    for title, found in _tables(report):
        console.print(plain(title, "bold"), soft_wrap=True)
        console.print(table(found.head, found.texts()))
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
            "Controls: the metric as it was, and with something wrong in what is shown or asked",
            _narrow(tables.controls(report)),
        )
    if report.pairs:
        yield "Near-identical cases of different diagnoses: both right", tables.pairs(report)
        nearest = tables.nearest(report, _PAIRS_SHOWN)
        yield nearest.title, nearest


def _judge_title(report: SetReport) -> str:
    judged = next(system.judged for system in report.systems if system.judged)
    return f"Judge {judged.judge}, {judged.parser} parser, {judged.date}"


def _narrow(found: Tabled) -> Tabled:
    rows = [
        tuple(
            cell.value if place in _ALONE and isinstance(cell, Measured) else cell
            for place, cell in enumerate(row)
        )
        for row in found.rows
    ]
    return replace(found, rows=rows)
