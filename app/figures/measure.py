"""The tables of a knowledge base's measure of itself, for the terminal and the page Knowledge."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.knowledge.voting.measure import DiagnosisMeasure, Measure, Rate

Rows = list[tuple[str, ...]]

SITES = ("site", "right (95% interval)", "answered", "right of these", "other organs taken for it")
DIAGNOSES = (
    "diagnosis",
    "site",
    "cases",
    "patients or sources",
    "right (95% interval)",
    "answered",
    "of these wrong",
    "",
)
CONFUSIONS = ("is", "was called", "cases")
MODELS = ("together with", "cases asked", "patients or sources", "right")
ANSWERED = ("answered, the surest first", "right of these")
MISSING = ("site", "what", "now", "what to add")
CURVE = ("cases of each diagnosis", "right", "")
NOT_MEASURED = "Its cases cannot be measured: there are no pictures, or no diagnosis has cases of two patients or sources at one site."
_BAR = 30  # characters of a bar of length 1


def tables(measure: Measure) -> list[tuple[tuple[str, ...], Rows]]:
    """Return (head, rows) of every table that has rows, in display order."""
    candidates = [
        (SITES, sites(measure)),
        (DIAGNOSES, diagnoses(measure)),
        (CONFUSIONS, confusions(measure)),
        (CURVE, curve(measure)),
        (ANSWERED, by_answered(measure)),
        (MODELS, models(measure)),
    ]
    return [(head, rows) for head, rows in candidates if rows]


def sites(measure: Measure) -> Rows:
    """Return one row per site."""
    return [
        (
            site.site or "not known",
            _in_words(site.accuracy),
            f"{site.answered.value:.2f}",
            f"{site.right_of_answered.value:.2f}" if site.right_of_answered else "–",
            f"{site.foreign.value:.3f}" if site.foreign else "not tried: no other tissue for this encoder",
        )
        for site in measure.sites
    ]


def diagnoses(measure: Measure) -> Rows:
    """Return one row per diagnosis, with what it lacks."""
    return [
        (
            diagnosis.diagnosis,
            diagnosis.site or "not known",
            f"{diagnosis.cases}",
            f"{diagnosis.groups}",
            _in_words(diagnosis.accuracy) if diagnosis.accuracy else "–",
            f"{diagnosis.answered}",
            f"{diagnosis.wrong}",
            "" if diagnosis.least is not None else "needs cases of other patients",
        )
        for diagnosis in measure.diagnoses
    ]


def confusions(measure: Measure, limit: int = 10) -> Rows:
    """Return the most frequent confusions."""
    return [
        (confusion.truth, confusion.said, f"{confusion.cases}") for confusion in measure.confusions[:limit]
    ]


def models(measure: Measure) -> Rows:
    """Return how good models are together with these cases."""
    return [
        (model.name, f"{model.cases}", f"{model.groups}", f"{model.right:.2f}")
        for model in measure.models.values()
    ]


def curve(measure: Measure) -> Rows:
    """Return the accuracy for each number of cases, with a bar."""
    return [
        (f"{point.each}", f"{point.accuracy:.2f}", "█" * round(point.accuracy * _BAR))
        for point in measure.curve
    ]


def by_answered(measure: Measure) -> Rows:
    """Return the accuracy by the share that is answered."""
    return [(f"{point.answered:.0%}", f"{point.accuracy:.2f}") for point in measure.by_answered]


def missing(measure: Measure | None, sites: Mapping[str, int], all_sites: Collection[str]) -> Rows:
    """Return what to add to a base: cases of more patients, and sites without a case.

    Args:
        measure: The measure; None if the vote cannot be measured.
        sites: Site → how many records the base has.
        all_sites: The sites that VideoPath knows.
    """
    rows: list[tuple[str, ...]] = [
        (
            row.site or "not known",
            row.diagnosis,
            f"{row.cases} {'case' if row.cases == 1 else 'cases'} of {row.groups} {'patient or source' if row.groups == 1 else 'patients or sources'}",
            _to_add(row),
        )
        for row in (measure.diagnoses if measure else ())
        if row.least is None
    ]
    empty = [site for site in all_sites if site not in sites]
    if empty:
        rows.append(
            (", ".join(empty), "every diagnosis", "no record", "any case of these sites, if you see them")
        )
    return rows


def _to_add(row: DiagnosisMeasure) -> str:
    from videopath.knowledge.voting.measure import LEAST_GROUPS

    if row.groups < LEAST_GROUPS:
        count = LEAST_GROUPS - row.groups
        return f"cases of {count} more patient{'s' if count > 1 else ''} at least, so that it can be measured"
    return f"cases of {row.groups} more patients: it is too often mistaken, or has too few cases to tell"


def summary(measure: Measure) -> str:
    """Return the measure in one sentence."""
    error = (
        ""
        if measure.calibration_error is None
        else f" Its probabilities are {measure.calibration_error:.3f} off on average."
    )
    return (
        f"Asked with each patient's, group's or source's own cases left out, the {measure.cases} cases with pictures are right "
        f"in {_in_words(measure.accuracy)} ({measure.accuracy.groups} groups).{error} {measure.outlook}"
    )


def _in_words(rate: Rate) -> str:
    return f"{rate.value:.2f} ({rate.low:.2f}–{rate.high:.2f})"
