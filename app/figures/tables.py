"""The tables of an evaluation on a test set, for the terminal, the page and the HTML report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.evaluation.kept import RiskPoint
    from videopath.evaluation.stats.estimates import Estimate, Share
    from videopath.evaluation.testsets.summary import Comparison, McNemar, SetReport, SystemReport

NONE = "–"

_ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}
_COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Measured:
    """A value with its interval, as text."""

    value: str
    interval: str

    @classmethod
    def of(cls, estimate: Estimate | Share) -> Measured:
        """Return the value with three decimals."""
        return cls(f"{estimate.value:.3f}", f"{estimate.low:.3f}–{estimate.high:.3f}")

    @classmethod
    def signed(cls, difference: Estimate) -> Measured:
        """Return a difference, with "to" between the ends, since a dash before a minus is hard to read."""
        return cls(f"{difference.value:+.3f}", f"{difference.low:+.3f} to {difference.high:+.3f}")

    def __str__(self) -> str:
        return f"{self.value} ({self.interval})"


Cell = str | Measured


@dataclass(frozen=True)
class Tabled:
    """Rows under distinct column names. Cells may hold texts of a model or of the set and are plain text."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    notes: Mapping[str, str] = field(default_factory=dict)
    """First cell of a row → its meaning, in one sentence."""
    folded: bool = False
    """Whether the table is long and stands behind a plot."""

    def texts(self) -> Iterator[tuple[str, ...]]:
        """Return the rows as texts."""
        return (tuple(map(str, row)) for row in self.rows)


def figures(report: SetReport) -> Tabled:
    """Return every metric of every system."""
    labels = {m.name: f"{m.label} {_ARROWS[m.better]}".strip() for m in report.metrics}
    rows = [(label, *(_of(s.figures, name) for s in report.systems)) for name, label in labels.items()]
    rows.append(("without an answer", *(f"{s.failed} of {s.answers}" for s in report.systems)))
    notes = {labels[metric.name]: metric.meaning for metric in report.metrics}
    return Tabled("Figures", ("metric", *_names(report)), rows, notes)


def confidences(report: SetReport) -> Tabled:
    """Return the meaning of each system's confidence."""
    rows = [(s.system, s.confidence or "It has none.") for s in report.systems]
    return Tabled("What each confidence is", ("system", "confidence"), rows)


def differences(report: SetReport) -> list[Tabled]:
    """Return one table per system: its differences from the systems it is compared with."""
    first = dict.fromkeys(one.system for one in report.comparisons)
    return [
        _less_others(report, system, [one for one in report.comparisons if one.system == system])
        for system in first
    ]


def _less_others(report: SetReport, system: str, comparisons: list[Comparison]) -> Tabled:
    rows: list[tuple[Cell, ...]] = [
        (metric.label, *(_of(one.figures, metric.name, signed=True) for one in comparisons))
        for metric in report.metrics
    ]
    judged = dict.fromkeys(name for one in comparisons for name in one.judged)
    rows += [
        (f"judged {_plain(name)}", *(_of(one.judged, name, signed=True) for one in comparisons))
        for name in judged
    ]
    if any(one.equal_coverage for one in comparisons):
        cells = ({"accuracy": one.equal_coverage} if one.equal_coverage else {} for one in comparisons)
        rows.append(
            ("accuracy when as many are answered", *(_of(cell, "accuracy", signed=True) for cell in cells))
        )
    if any(one.accuracy for one in comparisons):
        rows.append(("right alone : other alone", *(_alone(one.accuracy) for one in comparisons)))
        rows.append(
            ("McNemar p", *(f"{one.accuracy.p:.3g}" if one.accuracy else NONE for one in comparisons))
        )
    return Tabled(
        f"Differences of the system {system}",
        ("metric", *(f"{one.system} − {one.less}" for one in comparisons)),
        rows,
    )


def judged(report: SetReport) -> Tabled:
    """Return the judge's scores."""
    names = dict.fromkeys(name for s in report.systems if s.judged for name in s.judged.scores)
    rows: list[tuple[Cell, ...]] = [
        (_plain(name), *(_of(s.judged.scores, name) if s.judged else NONE for s in report.systems))
        for name in names
    ]
    failed = (f"{s.judged.failed} of {s.judged.answers}" if s.judged else NONE for s in report.systems)
    rows.append(("without a score", *failed))
    return Tabled("Scores", ("judged", *_names(report)), rows)


def judge_failures(report: SetReport) -> Tabled:
    """Return why answers have no score."""
    rows = [
        (system.system, reason, f"{count:,}")
        for system in report.systems
        if system.judged
        for reason, count in system.judged.failures.items()
    ]
    return Tabled("Why there is no score", ("system", "reason", "answers"), rows)


def prompts(report: SetReport) -> Tabled:
    """Return the hashes of the judge's prompts."""
    scores = next(system.judged for system in report.systems if system.judged)
    return Tabled(
        "The judge's prompts", ("score", "sha256 of the prompt"), list(scores.prompts_sha256.items()), folded=True
    )  # fmt: skip


def classes(report: SetReport) -> Tabled:
    """Return accuracy by true diagnosis."""
    by_class = shares_by_class(report)
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            str(next(iter(shares.values())).count),
            *(Measured.of(shares[s.system]) if s.system in shares else NONE for s in report.systems),
        )
        for name, shares in by_class.items()
    ]
    head = ("true diagnosis", "questions", *_names(report))
    return Tabled("Accuracy by class as a table", head, rows, folded=True)


def shares_by_class(report: SetReport) -> dict[str, dict[str, Share]]:
    """Return true diagnosis → system → share of right answers."""
    names = dict.fromkeys(name for system in report.systems for name in system.by_class)
    return {
        name: {s.system: s.by_class[name] for s in report.systems if name in s.by_class} for name in names
    }


def attributes(report: SetReport) -> Tabled:
    """Return attribute words by attribute."""
    names = dict.fromkeys(name for system in report.systems for name in system.attributes)
    rows: list[tuple[Cell, ...]] = [
        (
            _plain(name),
            *(Measured.of(s.attributes[name]) if name in s.attributes else NONE for s in report.systems),
        )
        for name in names
    ]
    return Tabled("Attribute words", ("attribute", *_names(report)), rows)


def mistakes(system: SystemReport) -> Tabled:
    """Return confusions, most frequent first."""
    wrong = [
        (truth, answer, count)
        for truth, row in system.confusion.items()
        for answer, count in row.items()
        if answer != truth
    ]
    rows = [(truth, answer, f"{count:,}") for truth, answer, count in sorted(wrong, key=lambda row: -row[2])]
    return Tabled(f"Mistakes of {system.system}", ("true", "said", "questions"), rows, folded=True)


def risks(report: SetReport) -> Tabled:
    """Return the risk at several coverages."""
    systems = [system for system in report.systems if system.risk_coverage]
    rows: list[tuple[Cell, ...]] = [
        (f"{coverage:.0%}", *(_risk(_at(system.risk_coverage, coverage)) for system in systems))
        for coverage in _COVERAGES
    ]
    head = ("answered, at least", *(f"{system.system}: wrong" for system in systems))
    return Tabled("Risk by coverage as a table", head, rows, folded=True)


def bins(system: SystemReport) -> Tabled:
    """Return the bins of confidence."""
    rows = [
        (f"{b.low:.1f}–{b.high:.1f}", f"{b.confidence:.3f}", Measured.of(b.right), f"{b.right.count:,}")
        for b in system.reliability
    ]
    return Tabled(
        f"Confidence of {system.system}", ("confidence", "its mean", "right", "answers"), rows, folded=True
    )


def controls(report: SetReport) -> Tabled:
    """Return the score with and without each control."""
    head = (
        "control", "system", "metric", "questions", "score", "under control", "difference", "same answer", "declined"
    )  # fmt: skip
    rows = [
        (
            one.control,
            one.system,
            one.metric,
            f"{one.questions:,}",
            Measured.of(one.score),
            Measured.of(one.under),
            Measured.signed(one.difference),
            Measured.of(one.same_answer),
            Measured.of(one.declined),
        )
        for one in report.controls
    ]
    return Tabled("Controls", head, rows)


def meanings(report: SetReport) -> Tabled:
    """Return what the controls do."""
    return Tabled(
        "What is done, and what it shows", ("control", "meaning"), list(report.control_meanings.items())
    )


def pairs(report: SetReport) -> Tabled:
    """Return near-identical cases, by system."""
    head = ("system", "pairs", "both right", "by chance", "p", "same answer to both")
    rows = [
        (
            p.system,
            f"{p.pairs:,}",
            Measured.of(p.both_right),
            f"{p.chance:.3f}",
            f"{p.p:.3g}",
            Measured.of(p.same_answer),
        )
        for p in report.pairs
    ]
    return Tabled("Both right", head, rows)


def nearest(report: SetReport, limit: int) -> Tabled:
    """Return the most similar pairs."""
    rows = [
        (f"{p.similarity:.3f}", p.first, p.first_diagnosis, p.second, p.second_diagnosis)
        for p in report.nearest[:limit]
    ]
    head = ("cosine", "question", "its diagnosis", "looks like", "whose diagnosis is")
    all_of_them = len(report.nearest)
    title = f"The {limit} most similar of {all_of_them:,} pairs" if all_of_them > limit else "The pairs"
    return Tabled(title, head, rows)


def _names(report: SetReport) -> list[str]:
    return [system.system for system in report.systems]


def _of(estimates: Mapping[str, Estimate], name: str, *, signed: bool = False) -> Cell:
    if name not in estimates:
        return NONE
    return Measured.signed(estimates[name]) if signed else Measured.of(estimates[name])


def _alone(test: McNemar | None) -> str:
    return f"{test.only_first} : {test.only_second}" if test else NONE


def _at(points: Sequence[RiskPoint], coverage: float) -> RiskPoint:
    """Return the first point with at least this coverage."""
    return next((point for point in points if point.coverage >= coverage), points[-1])


def _risk(point: RiskPoint) -> Measured:
    return Measured(f"{point.risk:.3f}", f"confidence from {point.confidence:.2f}")


def _plain(name: str) -> str:
    return name.replace("_", " ")
