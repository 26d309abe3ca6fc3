"""The sections of an evaluation on a test set, each with plots and tables, for the page and the HTML report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from videopath.app.figures import plots, tables
from videopath.app.figures.palette import Palette
from videopath.app.figures.tables import Tabled

if TYPE_CHECKING:
    from videopath.app.figures.plots import Plot
    from videopath.evaluation.testsets.summary import ControlReport, SetReport, SystemReport

_PAIRS = 20
_ROUNDING = 1e-9  # of shares
_CLASSES = 30  # in a plot; the table has all
_WORDS = 8  # classes that the text alternative of a plot names
_NO_TRUTH = "The set names no diagnosis."


@dataclass(frozen=True)
class Figure:
    """A plot."""

    key: str
    title: str
    """Empty if the section's title is enough."""
    words: str
    """Text alternative."""
    draw: Callable[[Palette], Plot]


@dataclass(frozen=True)
class Section:
    """One section of an evaluation."""

    key: str
    title: str
    lead: str
    """What the section shows, or why it is empty."""
    plots: Sequence[Figure] = ()
    tables: Sequence[Tabled] = ()


def moment(when: str) -> str:
    """Return an ISO 8601 time to the minute, UTC."""
    return f"{datetime.fromisoformat(when).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def sections(report: SetReport) -> list[Section]:
    """Return all sections. A section that was not requested says so."""
    return [
        _figures(report),
        _equal_coverage(report),
        _differences(report),
        _judged(report),
        _classes(report),
        _attributes(report),
        _confusion(report),
        _risk(report),
        _calibration(report),
        _controls(report),
        _pairs(report),
    ]


def _figures(report: SetReport) -> Section:
    lead = " ".join(report.cautions) + (" " if report.cautions else "")
    lead += (
        "In brackets the 95% interval, by a bootstrap over groups: whole patients, cases, slides or videos. "
        "↑ higher is better, ↓ lower is better. A question without an answer is wrong, with confidence 0."
    )
    section_tables = [tables.figures(report), tables.confidences(report)]
    return Section("figures", "Systems side by side", lead, tables=section_tables)


def _differences(report: SetReport) -> Section:
    key, title = "differences", "Differences and tests"
    if not report.comparisons:
        return Section(key, title, "One system alone was asked: there is nothing to compare it with.")
    lead = (
        "The first less the second on the same questions, by a paired bootstrap over groups; an interval without 0 is a "
        "difference at the 5% level. McNemar's exact test compares accuracy and takes questions for independent. Nothing is "
        "corrected for the number of comparisons."
    )
    return Section(key, title, lead, tables=tables.differences(report))


def _equal_coverage(report: SetReport) -> Section:
    """Return the agent beside the other systems, each with as many answers as the agent gives."""
    key, title = "equal", "Agent beside model, cases and colour, at equal coverage"
    agent = next((system for system in report.systems if system.system == "agent"), None)
    own = _answered(agent) if agent else None
    if agent is None or own is None:
        return Section(key, title, "The agent was not asked, or answered nothing.")
    coverage, risk = own
    differences = {
        one.less: one.equal_coverage
        for one in report.comparisons
        if one.system == "agent" and one.equal_coverage
    }
    right = {"agent": 1 - risk}
    for system in report.systems:
        surest = next((p for p in system.risk_coverage if p.coverage >= coverage - _ROUNDING), None)
        if system.system != "agent" and surest is not None:
            right[system.system] = 1 - surest.risk
    lead = (
        f"The agent answers {coverage:.0%} of the questions. Each other system gives as many answers, its surest ones, so that none "
        "looks better because it says less. A system whose interval of the difference holds 0 is not told apart from the agent."
    )
    plotted = {name: [plots.Dot(name, value, value, value)] for name, value in right.items()}
    words = f"{title}. " + "; ".join(f"{name} {value:.0%}" for name, value in right.items())
    rows = [
        (
            name,
            f"{value:.3f}",
            tables.NONE if name not in differences else tables.Measured.signed(differences[name]),
        )
        for name, value in right.items()
    ]
    return Section(
        key,
        title,
        lead,
        [Figure(key, "", words, partial(plots.dots, plotted, "right of the answers"))],
        [Tabled("At equal coverage", ("system", "right of the answers", "agent less this system"), rows)],
    )


def _judged(report: SetReport) -> Section:
    key, title = "judged", "Judged scores"
    judged = next((system.judged for system in report.systems if system.judged), None)
    if judged is None:
        return Section(key, title, "No judge was asked.")
    lead = (
        f"Correctness, detail and context, 0 to 5, by {judged.judge} ({judged.parser} parser, {moment(judged.date)}), which read question, "
        "reference and answer and never the video; norm average is average / 5 × 100. They compare with scores by the same judge, "
        "parser and prompts only."
    )
    failures = tables.judge_failures(report)
    section_tables = [tables.judged(report), *([failures] if failures.rows else []), tables.prompts(report)]
    return Section(key, title, lead, tables=section_tables)


def _classes(report: SetReport) -> Section:
    key, title, classes = "classes", "Accuracy by class", tables.shares_by_class(report)
    if not classes:
        return Section(key, title, _NO_TRUTH)
    lead = "Share of right answers by true diagnosis, with 95% intervals (Wilson) that take questions for independent."
    if len(classes) > _CLASSES:
        lead += f" The plot shows the {_CLASSES} of {len(classes)} diagnoses with the most questions; the table has all."
    largest = sorted(classes, key=lambda name: -next(iter(classes[name].values())).count)[:_CLASSES]
    plotted = {name: shares for name, shares in classes.items() if name in largest}
    accuracies = [
        f"{name}: " + ", ".join(f"{system} {share.value:.0%}" for system, share in shares.items())
        for name, shares in list(plotted.items())[:_WORDS]
    ]
    words = "Accuracy by class. " + "; ".join(accuracies) + ("; …" if len(plotted) > _WORDS else "")
    plot = Figure("classes", "", words, partial(plots.by_class, plotted))
    return Section(key, title, lead, [plot], [tables.classes(report)])


def _attributes(report: SetReport) -> Section:
    key, title, table = "attributes", "Attribute words", tables.attributes(report)
    if not table.rows:
        return Section(key, title, "The set names no attribute.")
    lead = "Share of descriptions that name the true level of each attribute, with its 95% interval (Wilson)."
    return Section(key, title, lead, tables=[table])


def _confusion(report: SetReport) -> Section:
    key, title = "confusion", "What was taken for what"
    systems = [system for system in report.systems if system.confusion]
    if not systems:
        return Section(key, title, _NO_TRUTH)
    lead = (
        "Rows are true diagnoses, columns what was said, by the rows' numbers: N no diagnosis, O another one. Right answers are "
        "framed; the stronger the colour, the more of the row."
    )
    diagnoses = max(len(system.confusion) for system in systems)
    if diagnoses > plots.SHOWN:
        lead += f" Shown are the {plots.SHOWN} of {diagnoses} diagnoses with the most questions; the tables hold all."
    figures = [
        Figure(
            f"confusion-{system.system}",
            system.system,
            _confusion_words(system),
            partial(plots.confusion, system.confusion),
        )
        for system in systems
    ]
    return Section(key, title, lead, figures, [tables.mistakes(system) for system in systems])


def _confusion_words(system: SystemReport) -> str:
    wrong = list(tables.mistakes(system).texts())
    if not wrong:
        return f"Confusion of {system.system}: every answer is right."
    mistakes = "; ".join(f"{true} taken for {answer}, {count}" for true, answer, count in wrong[:_WORDS])
    return f"Confusion of {system.system}. The most frequent mistakes: {mistakes}"


def _risk(report: SetReport) -> Section:
    key, title = "risk", "Risk and coverage"
    curves = [
        plots.Curve(system.system, system.risk_coverage, _answered(system))
        for system in report.systems
        if system.risk_coverage
    ]
    if not curves:
        return Section(key, title, "No system has a confidence in diagnoses that the set names.")
    words = "Risk by coverage. " + "; ".join(
        f"{c.series}: {c.points[-1].risk:.0%} wrong with all answered, {_half(c):.0%} with the surest half"
        for c in curves
    )
    lead = (
        "Wrong answers where only the surest are given; it looks at the order of a confidence and not at its height. The diamond "
        "is where the system itself draws the line between answering and abstaining."
    )
    return Section(
        key,
        title,
        lead,
        [Figure("risk", "", words, partial(plots.risk_coverage, curves))],
        [tables.risks(report)],
    )


def _answered(system: SystemReport) -> tuple[float, float] | None:
    """Return coverage and risk at the system's own threshold."""
    coverage, right = system.figures.get("coverage"), system.figures.get("accuracy_answered")
    return (coverage.value, 1 - right.value) if coverage and right else None


def _half(curve: plots.Curve) -> float:
    return next(point.risk for point in curve.points if point.coverage >= 0.5)


def _calibration(report: SetReport) -> Section:
    key, title = "calibration", "Calibration"
    systems = [system for system in report.systems if system.reliability]
    if not systems:
        return Section(key, title, "No system has a confidence in diagnoses that the set names.")
    lead = (
        "How often answers of a confidence are right, in ten equal bins; on the dashed line the two agree. The numbers count "
        "answers, the intervals are Wilson's, 95%."
    )
    figures = [
        Figure(
            f"calibration-{system.system}",
            system.system,
            _calibration_words(system),
            partial(plots.reliability, system.reliability),
        )
        for system in systems
    ]
    return Section(key, title, lead, figures, [tables.bins(system) for system in systems])


def _calibration_words(system: SystemReport) -> str:
    bins = ", ".join(f"confidence {b.confidence:.0%} right {b.right.value:.0%}" for b in system.reliability)
    return f"Calibration of {system.system}: {bins}"


def _controls(report: SetReport) -> Section:
    key, title = "controls", "Controls"
    if not report.controls:
        return Section(key, title, "None was asked for; the option --controls asks for all.")
    rows: dict[str, list[ControlReport]] = {}
    for one in report.controls:
        rows.setdefault(one.control, []).append(one)
    dots = {
        f"{name}  ·  {of_it[0].questions:,} questions": [
            plots.Dot(one.system, one.under.value, one.under.low, one.under.high, one.score.value)
            for one in of_it
        ]
        for name, of_it in rows.items()
    }
    words = "Controls. " + "; ".join(
        f"{name}: "
        + ", ".join(f"{one.system} {one.score.value:.0%} to {one.under.value:.0%}" for one in of_it)
        for name, of_it in rows.items()
    )
    lead = (
        "The same questions with something wrong in what is shown or asked. The mark is the metric under the control, with its 95% "
        "interval, the upright tick the score on the same questions without it. Who answers a blank video as before has guessed."
    )
    metrics = dict.fromkeys(one.metric for one in report.controls)
    plot = Figure("controls", "", words, partial(plots.dots, dots, " or ".join(metrics)))
    return Section(key, title, lead, [plot], [tables.meanings(report), tables.controls(report)])


def _pairs(report: SetReport) -> Section:
    key, title = "pairs", "Near-identical pairs"
    if not report.pairs:
        return Section(key, title, "They were not asked for; the option --control pairs asks for them.")
    lead = (
        "Two questions whose clips are each other's nearest, to the model's own vision tower, and whose diagnoses differ. By chance: "
        "how often both are right of a guesser who draws from the set's diagnoses at that site; p of a one-sided binomial test."
    )
    return Section(key, title, lead, tables=[tables.pairs(report), tables.nearest(report, _PAIRS)])
