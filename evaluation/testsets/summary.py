"""The document of an evaluation on a test set: figures of each system, how they differ, and what the controls say.

    OUT/report.json                                               beside the answers
    $VIDEOPATH_HOME/evaluations/sets/<time>-<set>-<model>.json    the same, for the page Benchmarks

It holds everything that a page or a plot of the evaluation needs, and nothing that only this version's code knows: names, directions
and definitions of the metrics and the controls stand in it.
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
"""Folder of these documents among the kept evaluations."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Record):
    """What a figure is."""

    name: str
    """The key of ``figures``."""
    label: str
    """As a table or an axis names it."""
    better: Literal["higher", "lower", "neither"]
    least: float
    most: float | None
    """The range; none: no upper end (seconds)."""
    meaning: str
    """One sentence."""


class SetFacts(_Record):
    """The questions."""

    name: str
    sha256: str
    questions: int
    groups: int
    """Patients, cases, slides or videos: the clusters of the bootstrap."""
    with_diagnosis: int
    """Questions of which the set names the true diagnosis: what concerns diagnoses is over these."""


class SystemReport(_Record):
    """What one system's answers are worth."""

    system: SystemName
    answers: int
    failed: int
    """Questions without an answer; they count as wrong, with confidence 0."""
    confidence: str
    """What its confidence is, in a sentence; empty where it has none."""
    figures: dict[str, Estimate]
    """Name of the metric → its value with a 95% interval; a metric that does not apply is not there."""
    by_class: dict[str, Share]
    """True diagnosis → share of right answers, of equal names and none of the halves for a parent."""
    confusion: dict[str, dict[str, int]]
    """True diagnosis → said diagnosis (:data:`NOTHING` for none, :data:`OTHER` for one beyond the set and the table) → questions."""
    attributes: dict[str, Share]
    """Attribute → share of descriptions that name the true level."""
    risk_coverage: list[RiskPoint]
    reliability: list[ConfidenceBin]
    judged: Judged | None = None


class McNemar(_Record):
    """McNemar's exact test of two systems' right answers to the same questions, which are taken for independent."""

    only_first: int
    only_second: int
    p: float
    """Two-sided; 1 where they are never of two opinions."""


class Comparison(_Record):
    """A system less another one, on the questions that both were asked."""

    system: SystemName
    less: SystemName
    figures: dict[str, Estimate]
    """Metric → difference, by a paired bootstrap over groups."""
    judged: dict[str, Estimate]
    """Difference of the judge's scores, of the answers that were judged for both."""
    accuracy: McNemar | None
    """None where the set names no diagnosis."""
    equal_coverage: Estimate | None = None
    """Accuracy when answered, where the other gives out as many of its surest answers."""


class ControlReport(_Record):
    """One system's answers when something is wrong with what it is shown or asked, beside its score."""

    control: str
    """The key of ``control_meanings``."""
    system: SystemName
    metric: str
    """The metric that is compared: ``accuracy``; ``similarity`` where the set names no diagnosis."""
    questions: int
    """Those that the control applies to; the score is over the same ones."""
    score: Estimate
    under: Estimate
    """The metric under the control, against the same truth."""
    difference: Estimate
    """``under`` less ``score``, paired."""
    same_answer: Estimate
    """Share of questions that are answered as without the control: the same diagnosis, or word for word."""
    declined: Estimate
    """Share of questions on which it abstained or gave no answer, under the control."""


class Pair(_Record):
    """Two questions whose videos look alike and whose diagnoses differ."""

    first: str
    second: str
    """Ids of the questions."""
    first_diagnosis: str
    second_diagnosis: str
    similarity: float
    """Cosine of the two clips, as the model's own vision tower sees them."""


class PairsReport(_Record):
    """How well a system tells near-identical cases apart."""

    system: SystemName
    pairs: int
    both_right: Share
    """Pairs of which both are answered rightly."""
    chance: float
    """The share that comes of answering each with a diagnosis drawn as often as the set has it (at that site)."""
    p: float
    """One-sided binomial test of ``both_right`` against ``chance``."""
    same_answer: Share
    """Pairs of which both got the same diagnosis: not told apart."""


class SetReport(_Record):
    """An evaluation on a test set."""

    set: SetFacts
    model: str
    weights_sha256: str
    version: str
    """Of VideoPath."""
    created: str
    """ISO 8601, UTC."""
    notice: str = RESEARCH_USE
    metrics: list[Metric]
    """In the order in which they are shown."""
    systems: list[SystemReport]
    """In the order in which they are shown."""
    comparisons: list[Comparison]
    """Every two systems."""
    control_meanings: dict[str, str]
    """Control → what is done and what a system that looks would do, in a sentence or two."""
    controls: list[ControlReport]
    pairs: list[PairsReport]
    """Empty where the control was not asked for."""
    nearest: list[Pair]
    """The pairs, the most similar first."""
    cautions: list[str] = []
    """What a reader must know before the figures, a sentence each."""


NOTHING = "no diagnosis"
OTHER = "another diagnosis"


def save_set_report(report: SetReport, home: Path) -> Path:
    """Keep a document for the pages; returns its file."""
    path = kept_file(home / FOLDER / SETS, report.created, Path(report.set.name).stem, report.model)
    write_set_report(report, path)
    return path


def write_set_report(report: SetReport, path: Path) -> None:
    """Write a document, whole or not at all."""
    write_text(path, report.model_dump_json(indent=1) + "\n")


def list_set_reports(home: Path) -> list[Path]:
    """The files of the kept documents, the last one first."""
    return sorted((home / FOLDER / SETS).glob("*.json"), reverse=True)


def read_set_report(path: Path) -> SetReport:
    """Read what was written. Raises ``InputError`` when it is something else."""
    try:
        return SetReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} is no report on a test set: run `videopath evaluate SET` again.") from error
