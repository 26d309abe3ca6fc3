"""Evaluate the agent on held-out atlas slides, whose diagnoses are not on the model's card.

The whole clip of a slide goes through the agent twice: without its site and with it. The agent should abstain both times.
The model itself was trained to name only organ and category of such slides ("benign lesion of the colon").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.cases.records import CaseReport
from videopath.core.errors import InputError
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.stats.estimates import Share
from videopath.model.card import Card
from videopath.tools.answers.organs import sites_of
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample, Split


@dataclass(frozen=True)
class AtlasOutcome:
    """One clip, asked once: what the model wrote, and whether the agent abstained."""

    path: str
    site: str
    site_given: bool
    truth: str
    """Category and organ."""
    written: str
    """The diagnosis in the model's own answer, before similar cases and candidates; empty if it wrote none."""
    final: str
    confidence: float
    abstained: bool

    @property
    def right_organ(self) -> bool:
        """Whether the model named the slide's organ, in words or by a diagnosis of the card."""
        return self.site in sites_of(self.written, Card(labels=corpus.diagnoses_by_site()))

    @property
    def right_category(self) -> bool:
        """Whether the model named the slide's category, of any organ."""
        return _category(self.written) == _category(self.truth)


@dataclass(frozen=True)
class AtlasFigures:
    """The figures of one way of asking."""

    abstained: Share
    organ: Share
    category: Share
    both: Share

    @classmethod
    def of(cls, outcomes: Sequence[AtlasOutcome]) -> AtlasFigures:
        """Return the shares over these clips."""
        return cls(
            abstained=Share.of([o.abstained for o in outcomes]),
            organ=Share.of([o.right_organ for o in outcomes]),
            category=Share.of([o.right_category for o in outcomes]),
            both=Share.of([o.right_organ and o.right_category for o in outcomes]),
        )


@dataclass(frozen=True)
class AtlasSummary:
    """The figures over the atlas slides of one side of the split."""

    without_site: AtlasFigures
    with_site: AtlasFigures

    def to_json(self) -> dict[str, object]:
        """Return plain JSON."""
        return asdict(self)


def held_out_slides(data: Path, split: Split) -> list[Sample]:
    """Return the atlas slides of one side that have a clip.

    Raises:
        InputError: There is no such slide.
    """
    slides = [slide for slide in corpus.read_atlas(data) if slide.split == split and slide.path.is_file()]
    if not slides:
        raise InputError(
            f"{data / 'videos' / 'atlas'} has no clip of the slides on the {split} side. "
            "Put the clips there, or evaluate the tiles alone with --set tiles."
        )
    return slides


def evaluate_slides(agent: DiagnosticAgent, slides: Iterable[Sample]) -> Iterator[AtlasOutcome]:
    """Diagnose each slide's whole clip without its site and with it. Outcomes come one by one."""
    for slide in slides:
        for site in (None, slide.site):
            yield _outcome(slide, agent.diagnose(slide.path, site=site))


def summarise_slides(outcomes: Sequence[AtlasOutcome]) -> AtlasSummary:
    """Return the figures of both ways of asking."""
    return AtlasSummary(
        without_site=AtlasFigures.of([o for o in outcomes if not o.site_given]),
        with_site=AtlasFigures.of([o for o in outcomes if o.site_given]),
    )


def _outcome(slide: Sample, report: CaseReport) -> AtlasOutcome:
    blind = next(step for step in report.steps if step.name == "diagnose_blind")
    return AtlasOutcome(
        path=slide.path.name,
        site=slide.site,
        site_given=report.site is not None,
        truth=slide.diagnosis,
        written=blind.detail["result"]["generated"],
        final=report.diagnosis,
        confidence=report.confidence,
        abstained=report.abstained,
    )


def _category(text: str) -> str:
    """Return the words before the organ; empty if no organ is named."""
    return normalised_label(text).rpartition(" of the ")[0]
