"""The rows of an evaluation with a laboratory's own cases, for the terminal and the page Benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.evaluation.lab import LabReport

EQUAL = ("agent less", "right of as many answers")
SYSTEMS = ("system", "answered", "right of these", "first answer right", "given out wrongly")


def title(report: LabReport) -> str:
    """Return the title: questions and knowledge base."""
    return (
        f"{report.name}: {report.base_cases} cases of {report.base_groups} groups as knowledge, {report.questions} of other "
        f"groups asked{', all in one colour' if report.stain else ''}; {report.model}, cases seen by {report.encoder}"
    )


def systems(report: LabReport) -> list[tuple[str, ...]]:
    """Return one row per system."""
    return [
        (
            system,
            str(figures.answered),
            str(figures.right_of_answered or "–"),
            str(figures.right),
            str(figures.signed_wrongly),
        )
        for system, figures in report.own.items()
    ]


def at_equal_coverage(report: LabReport) -> list[tuple[str, str]]:
    """Return one row per other system: the agent's accuracy when answered less that of the system's surest answers."""
    return [
        (system, f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})")
        for system, difference in report.at_equal_coverage.items()
    ]


def lines(report: LabReport) -> list[str]:
    """Return the lines beside the table."""
    test = report.mcnemar
    sentences = [f"The cases helped {test.only_first}, hurt {test.only_second} (McNemar p={test.p:.2g})."]
    if report.equal_coverage:
        sentences.append(f"Right of answered, agent less model, as many answered: {report.equal_coverage}.")
    if report.foreign_answered:
        sentences.append(
            f"Tissue of other organs answered: {report.foreign_answered}, n={report.foreign_answered.questions}."
        )
    return [*sentences, f"{report.seconds:.2f} seconds a case."]
