"""The document of an evaluation on a test set: figures of each system, their differences, and the controls.

    OUT/report.json                                               beside the answers
    $VIDEOPATH_HOME/evaluations/sets/<time>-<set>-<model>.json    the same, for the page Benchmarks

It is complete: names, directions and definitions of the metrics and controls are part of it, so that a page or plot needs nothing
else, also in later versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.core.choices import SystemName
from videopath.core.errors import InputError
from videopath.core.files import write_text
from videopath.core.notice import RESEARCH_USE
from videopath.evaluation.kept import FOLDER, ConfidenceBin, RiskPoint, kept_file
from videopath.evaluation.stats.estimates import Estimate, Share
from videopath.evaluation.testsets.judge import Judged

SETS = "sets"
"""Folder of these documents among the stored evaluations."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Record):
    """The description of a figure."""

    name: str
    """Key in ``figures``."""
    label: str
    """Label in tables and on axes."""
    better: Literal["higher", "lower", "neither"]
    least: float
    most: float | None
    """Upper end of the range; None if there is none (seconds)."""
    meaning: str
    """Meaning, in one sentence."""


class SetFacts(_Record):
    """Facts of the questions."""

    name: str
    sha256: str
    questions: int
    groups: int
    """Patients, cases, slides or videos: the clusters of the bootstrap."""
    with_diagnosis: int
    """Questions with a true diagnosis. Figures about diagnoses use only these."""


class SystemReport(_Record):
    """The figures of one system."""

    system: SystemName
    answers: int
    failed: int
    """Questions without an answer. They count as wrong, with confidence 0."""
    confidence: str
    """Meaning of its confidence, in one sentence; empty if it has none."""
    figures: dict[str, Estimate]
    """Metric → value with a 95% interval. Metrics that do not apply are absent."""
    by_class: dict[str, Share]
    """True diagnosis → share of right answers; synonyms count, parent entities do not."""
    confusion: dict[str, dict[str, int]]
    """True diagnosis → answered diagnosis (:data:`NOTHING` for none, :data:`OTHER` for one outside set and table) → questions."""
    attributes: dict[str, Share]
    """Attribute → share of descriptions that name the true level."""
    risk_coverage: list[RiskPoint]
    reliability: list[ConfidenceBin]
    judged: Judged | None = None


class McNemar(_Record):
    """McNemar's exact test of two systems' right answers to the same questions, which are treated as independent."""

    only_first: int
    only_second: int
    p: float
    """Two-sided; 1 when the systems never disagree."""


class Comparison(_Record):
    """The difference of two systems on the questions that both were asked."""

    system: SystemName
    less: SystemName
    figures: dict[str, Estimate]
    """Metric → difference, by a paired bootstrap over groups."""
    judged: dict[str, Estimate]
    """Difference of the judge's scores, over answers that were judged for both."""
    accuracy: McNemar | None
    """None if the set names no diagnosis."""
    equal_coverage: Estimate | None = None
    """Accuracy when answered; the other system gives out as many answers, its surest ones."""


class ControlReport(_Record):
    """One system under one control, beside its score without it."""

    control: str
    """Key in ``control_meanings``."""
    system: SystemName
    metric: str
    """The compared metric: ``accuracy``, or ``similarity`` if the set names no diagnosis."""
    questions: int
    """Questions to which the control applies. The score uses the same ones."""
    score: Estimate
    under: Estimate
    """The metric under the control, with the same truth."""
    difference: Estimate
    """``under`` less ``score``, paired."""
    same_answer: Estimate
    """Share of questions with the same answer as without the control: the same diagnosis, or the same words."""
    declined: Estimate
    """Share of questions that were not answered under the control."""


class Pair(_Record):
    """Two questions with similar videos and different diagnoses."""

    first: str
    second: str
    """Ids of the questions."""
    first_diagnosis: str
    second_diagnosis: str
    similarity: float
    """Cosine of the two clips' vectors by the model's own vision tower."""


class PairsReport(_Record):
    """How well a system separates near-identical cases."""

    system: SystemName
    pairs: int
    both_right: Share
    """Pairs with two right answers."""
    chance: float
    """Expected share if each is answered with a diagnosis drawn as often as the set has it at that site."""
    p: float
    """One-sided binomial test of ``both_right`` against ``chance``."""
    same_answer: Share
    """Pairs with the same answer to both."""


class SetReport(_Record):
    """An evaluation on a test set."""

    set: SetFacts
    model: str
    weights_sha256: str
    version: str
    """Version of VideoPath."""
    created: str
    """ISO 8601, UTC."""
    notice: str = RESEARCH_USE
    metrics: list[Metric]
    """In the order in which they are shown."""
    systems: list[SystemReport]
    """In the order in which they are shown."""
    comparisons: list[Comparison]
    """One comparison for every two systems."""
    control_meanings: dict[str, str]
    """Control → what it does, and how a system that looks reacts, in one or two sentences."""
    controls: list[ControlReport]
    pairs: list[PairsReport]
    """Empty if the control was not requested."""
    nearest: list[Pair]
    """The pairs, most similar first."""
    cautions: list[str] = []
    """What a reader must know before the figures, one sentence each."""


NOTHING = "no diagnosis"
OTHER = "another diagnosis"


def save_set_report(report: SetReport, home: Path) -> Path:
    """Store a document for the page Benchmarks and return its file."""
    path = kept_file(home / FOLDER / SETS, report.created, Path(report.set.name).stem, report.model)
    write_set_report(report, path)
    return path


def write_set_report(report: SetReport, path: Path) -> None:
    """Write a document atomically."""
    write_text(path, report.model_dump_json(indent=1) + "\n")


def list_set_reports(home: Path) -> list[Path]:
    """List the files of stored documents, newest first."""
    return sorted((home / FOLDER / SETS).glob("*.json"), reverse=True)


def read_set_report(path: Path) -> SetReport:
    """Read a stored document.

    Raises:
        InputError: The file is not such a document.
    """
    try:
        return SetReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not a report on a test set. Run `videopath evaluate SET` again."
        ) from error
