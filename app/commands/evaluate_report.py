"""The figures of ``videopath evaluate SET`` on the terminal: systems side by side, differences and tests, controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from videopath.agent.evaluation.ranking import Estimate
    from videopath.agent.evaluation.summary import SetReport, SystemReport

_NONE = "–"
_ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}
_PAIRS_SHOWN = 5


def show_report(report: SetReport) -> None:
    """All tables on stdout."""
    from videopath.app.console import plain, stdout

    console = stdout()
    for title, table in _tables(report):
        console.print(plain(title, "bold"), soft_wrap=True)
        console.print(table)
        console.print()
    console.print(plain(report.notice), soft_wrap=True)


def _tables(report: SetReport) -> Iterator[tuple[str, Table]]:
    facts = report.set
    yield (
        f"{facts.name}: {facts.questions:,} questions of {facts.groups:,} groups, {facts.with_diagnosis:,} with a diagnosis; "
        f"{report.model}. 95% intervals by a bootstrap over groups.",
        _figures(report),
    )
    if any(system.judged for system in report.systems):
        yield _judge_title(report), _judged(report)
    if report.comparisons:
        yield "Differences on the same questions, and McNemar's exact test of accuracy", _differences(report)
    if report.controls:
        yield (
            "Controls: the metric as it was, and with something wrong in what is shown or asked",
            _controls(report),
        )
    if report.pairs:
        yield "Near-identical cases of different diagnoses: both right", _pairs(report)
        yield f"The {min(_PAIRS_SHOWN, len(report.nearest))} most similar pairs", _nearest(report)


def _figures(report: SetReport) -> Table:
    from videopath.app.console import table

    rows = [
        (
            f"{metric.label} {_ARROWS[metric.better]}".strip(),
            *(_of(s.figures, metric.name) for s in report.systems),
        )
        for metric in report.metrics
    ]
    failed = ("without an answer", *(f"{system.failed} of {system.answers}" for system in report.systems))
    return table(("", *_names(report.systems)), [*rows, failed])


def _judged(report: SetReport) -> Table:
    from videopath.app.console import table

    names = dict.fromkeys(name for s in report.systems if s.judged for name in s.judged.scores)
    rows = [
        (_plain(name), *(_of(s.judged.scores, name) if s.judged else _NONE for s in report.systems))
        for name in names
    ]
    failed = (
        "without a score",
        *(f"{s.judged.failed} of {s.judged.answers}" if s.judged else _NONE for s in report.systems),
    )
    return table(("judged", *_names(report.systems)), [*rows, failed])


def _judge_title(report: SetReport) -> str:
    judged = next(system.judged for system in report.systems if system.judged)
    return f"Judge {judged.judge}, {judged.parser} parser, {judged.date}"


def _differences(report: SetReport) -> Table:
    from videopath.app.console import table

    rows = [
        (metric.label, *(_of(one.figures, metric.name, signed=True) for one in report.comparisons))
        for metric in report.metrics
    ]
    judged = dict.fromkeys(name for one in report.comparisons for name in one.judged)
    rows += [
        (f"judged {_plain(name)}", *(_of(one.judged, name, signed=True) for one in report.comparisons))
        for name in judged
    ]
    tests = [one.accuracy for one in report.comparisons]
    if any(tests):
        rows.append(
            (
                "right alone : other alone",
                *(f"{t.only_first} : {t.only_second}" if t else _NONE for t in tests),
            )
        )
        rows.append(("McNemar p", *(f"{t.p:.3g}" if t else _NONE for t in tests)))
    return table(("", *(f"{one.system} − {one.less}" for one in report.comparisons)), rows)


def _controls(report: SetReport) -> Table:
    from videopath.app.console import table

    head = (
        "control",
        "system",
        "metric",
        "questions",
        "score",
        "under control",
        "difference",
        "same answer",
        "declined",
    )
    rows = [
        (
            one.control,
            one.system,
            one.metric,
            str(one.questions),
            f"{one.score.value:.3f}",
            _text(one.under),
            _text(one.difference, signed=True),
            f"{one.same_answer.value:.3f}",
            f"{one.declined.value:.3f}",
        )
        for one in report.controls
    ]
    return table(head, rows)


def _pairs(report: SetReport) -> Table:
    from videopath.app.console import table

    head = ("system", "pairs", "both right", "by chance", "p", "same answer to both")
    rows = [
        (p.system, str(p.pairs), str(p.both_right), f"{p.chance:.3f}", f"{p.p:.3g}", str(p.same_answer))
        for p in report.pairs
    ]
    return table(head, rows)


def _nearest(report: SetReport) -> Table:
    from videopath.app.console import table

    rows = [
        (f"{p.similarity:.3f}", p.first, p.first_diagnosis, p.second, p.second_diagnosis)
        for p in report.nearest[:_PAIRS_SHOWN]
    ]
    return table(("cosine", "question", "diagnosis", "question", "diagnosis"), rows)


def _names(systems: Sequence[SystemReport]) -> list[str]:
    return [system.system for system in systems]


def _of(figures: dict[str, Estimate], name: str, *, signed: bool = False) -> str:
    return _text(figures[name], signed=signed) if name in figures else _NONE


def _text(estimate: Estimate, *, signed: bool = False) -> str:
    """A difference with its sign, and "to" between the ends: a dash before a minus is hard to read."""
    if not signed:
        return str(estimate)
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def _plain(name: str) -> str:
    return name.replace("_", " ")
