"""Evaluate the agent on held-out clips: accuracy, coverage and calibration.

Every held-out tile becomes a clip of eight frames (a still view, a pan or a zoom, colours unchanged). It goes through the
whole agent with its site, and the answer is compared with the known diagnosis. Intervals are 95%.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.cases.records import CaseReport
from videopath.core.errors import InputError, NotTissueError
from videopath.core.fitting.calibration_error import calibration_error
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.stats.estimates import Estimate, Share, equal_coverage
from videopath.evaluation.tiles.colour import ColourNeighbours
from videopath.media.clip import open_clip
from videopath.media.quality.attributes import SCALES, measure
from videopath.media.quality.stain import colour_numbers, one_colour
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample, Split
from videopath.training.scratch import descriptions, views

FRAMES = 8
_SIDE = 224


@dataclass(frozen=True)
class Outcome:
    """One clip: the truth, the answers, and the agent's confidence."""

    path: str
    label: str
    site: str
    truth: str
    blind: str
    final: str
    confidence: float
    abstained: bool
    features: dict[str, float]
    attributes: dict[str, bool]
    """Attribute → whether the description's word agrees with the measured value."""
    seconds: float
    group: str = ""
    """Source field, slide or patient; empty in outcomes of older versions."""
    cases: str = ""
    """Diagnosis by the similar cases alone; empty if none voted."""
    colour: str = ""
    """Diagnosis by six colour numbers alone, the trivial baseline."""
    blind_confidence: float = 0.0
    """Highest probability of the differential before retrieval."""
    refused: bool = False
    """Whether the quality gate rejected the clip. It then has no answer and counts as not answered."""

    @property
    def right(self) -> bool:
        """Whether the final label is the true diagnosis."""
        return normalised_label(self.final) == normalised_label(self.truth)

    @property
    def blind_right(self) -> bool:
        """Whether the label before retrieval is the true diagnosis."""
        return normalised_label(self.blind) == normalised_label(self.truth)

    @property
    def has_confidence(self) -> bool:
        """Whether the agent stated how sure it is. If nobody can vouch for the tissue or the label, it abstains without."""
        return self.confidence > 0

    def is_true(self, label: str) -> bool:
        """Return whether another system's label is the true diagnosis."""
        return bool(label) and normalised_label(label) == normalised_label(self.truth)


@dataclass(frozen=True)
class Summary:
    """The figures of an evaluation."""

    accuracy: Share
    mean_class_accuracy: float
    blind_accuracy: Share
    by_class: dict[str, Share]
    attributes: Share
    by_attribute: dict[str, Share]
    coverage: Share
    """Share of clips on which the agent gave out a diagnosis."""
    accuracy_when_answered: Share
    confusion: dict[str, dict[str, int]]
    """True diagnosis → answered diagnosis → number of clips."""
    calibration_error: float | None
    """Expected calibration error over ten equal bins of confidence (Naeini et al., AAAI 2015), of clips with a
    confidence; None if none has one."""
    seconds_per_clip: float
    signed_wrongly: Estimate
    """Share of all clips for which a wrong diagnosis was given out. Bootstrap over groups, as for all that follow."""
    worst: tuple[str, Share]
    """The diagnosis with the largest share of its own clips given out wrongly, and this share."""
    alone: dict[str, Estimate]
    """``cases``, ``colour`` → accuracy of each alone, if it was asked."""
    equal_coverage: Estimate | None
    """Accuracy when answered, agent less model; the model gives out as many answers as the agent, its surest ones."""
    helped: int
    """Clips on which the agent is right and the model before retrieval is wrong."""
    hurt: int
    """Clips on which the model before retrieval is right and the agent is wrong."""
    refused: int
    """Clips that the quality gate rejected."""
    groups: dict[str, int]
    """Class → number of groups that its clips come from."""

    def to_json(self) -> dict[str, object]:
        """Return plain JSON."""
        return asdict(self)


def held_out(data: Path, split: Split, per_class: int) -> list[Sample]:
    """Return at most ``per_class`` tiles of each class on one side, from as many groups as possible, always the same ones."""
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for sample in corpus.read_tiles(data):
        if sample.split == split:
            by_label[sample.label].append(sample)
    return [s for label in corpus.LABELS for s in _spread(by_label[label])[:per_class]]


def clip_frames(sample: Sample) -> np.ndarray:
    """Return a clip over a sample, uint8 [8, 224, 224, 3]. The same file name gives the same clip."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(sample.path.name.encode()).digest()[:8], "big"))
    image = corpus.load_images([sample])[0]
    return views.clip_views([image], FRAMES, _SIDE, rng, augment=False)


def write_clip(
    sample: Sample, folder: Path, changed: Callable[[np.ndarray], np.ndarray] | None = None
) -> Path:
    """Write the sample's clip as a folder of PNG frames, after ``changed`` if it is given."""
    target = folder / sample.path.stem
    target.mkdir(parents=True)
    frames = clip_frames(sample)
    for number, frame in enumerate(changed(frames) if changed else frames):
        Image.fromarray(frame).save(target / f"{number}.png")
    return target


def evaluate(
    agent: DiagnosticAgent,
    samples: Iterable[Sample],
    folder: Path,
    on_report: Callable[[Sample, CaseReport], None] | None = None,
    colour: ColourNeighbours | None = None,
    *,
    stain: bool = False,
) -> Iterator[Outcome]:
    """Diagnose each sample's clip with its site. Outcomes come one by one.

    Args:
        agent: The agent, with its knowledge base.
        samples: Held-out tiles.
        folder: Empty folder for the clips.
        on_report: Called with each sample and its report.
        colour: The trivial baseline, which answers each clip as well.
        stain: Whether all clips are brought to one colour.
    """
    for sample in samples:
        clip = write_clip(sample, folder, one_colour if stain else None)
        try:
            report = agent.diagnose(clip, site=sample.site)
        except NotTissueError:
            yield _refused_outcome(sample)
            continue
        if on_report:
            on_report(sample, report)
        yield _outcome(sample, report, clip, colour)


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Return the figures over all clips.

    Raises:
        InputError: There is no clip.
    """
    if not outcomes:
        raise InputError("No clip was evaluated: the data folder has no tile on this side of the split.")
    by_class = {label: Share.of([o.right for o in outcomes if o.label == label]) for label in corpus.LABELS}
    by_class = {label: share for label, share in by_class.items() if share.count}
    confusion: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in outcomes:
        confusion[outcome.truth][outcome.final] += 1
    answered = [o for o in outcomes if not o.abstained]
    sure = [o for o in outcomes if o.has_confidence]
    words = [hit for o in outcomes for hit in o.attributes.values()]
    return Summary(
        accuracy=Share.of([o.right for o in outcomes]),
        mean_class_accuracy=float(np.mean([share.value for share in by_class.values()])),
        blind_accuracy=Share.of([o.blind_right for o in outcomes]),
        by_class=by_class,
        attributes=Share.of(words),
        by_attribute={
            s.attribute: Share.of([o.attributes[s.attribute] for o in outcomes if not o.refused])
            for s in SCALES
        },
        coverage=Share.of([not o.abstained for o in outcomes]),
        accuracy_when_answered=Share.of([o.right for o in answered]),
        confusion={truth: dict(row) for truth, row in confusion.items()},
        calibration_error=calibration_error(
            np.array([o.confidence for o in sure]), np.array([o.right for o in sure])
        )
        if sure
        else None,
        seconds_per_clip=float(np.mean([o.seconds for o in outcomes])),
        signed_wrongly=_estimate([not (o.abstained or o.right) for o in outcomes], outcomes),
        worst=_worst(outcomes),
        alone={
            name: _estimate([o.is_true(getattr(o, name)) for o in outcomes], outcomes)
            for name in ("cases", "colour")
            if any(getattr(o, name) for o in outcomes)
        },
        equal_coverage=equal_coverage(
            np.array([not o.abstained for o in outcomes]),
            np.array([o.right for o in outcomes]),
            np.array([o.blind_confidence for o in outcomes]),
            np.array([o.blind_right for o in outcomes]),
            np.array([o.group or o.path for o in outcomes]),
        ),
        helped=sum(o.right and not o.blind_right for o in outcomes),
        hurt=sum(o.blind_right and not o.right for o in outcomes),
        refused=sum(o.refused for o in outcomes),
        groups={label: len({o.group for o in outcomes if o.label == label}) for label in by_class},
    )


def _worst(outcomes: Sequence[Outcome]) -> tuple[str, Share]:
    wrong: dict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        wrong[outcome.truth].append(not (outcome.abstained or outcome.right))
    shares = {truth: Share.of(hits) for truth, hits in wrong.items()}
    return max(shares.items(), key=lambda item: item[1].value)


def _estimate(hits: Sequence[bool], outcomes: Sequence[Outcome]) -> Estimate:
    return Estimate.of([float(hit) for hit in hits], [o.group or o.path for o in outcomes])


def _refused_outcome(sample: Sample) -> Outcome:
    return Outcome(
        path=sample.path.name, label=sample.label, site=sample.site, truth=sample.diagnosis, blind="", final="",
        confidence=0.0, abstained=True, features={}, attributes={}, seconds=0.0, group=sample.group, refused=True,
    )  # fmt: skip


def _outcome(sample: Sample, report: CaseReport, clip: Path, colour: ColourNeighbours | None) -> Outcome:
    verified = next(step for step in report.steps if step.name == "verify")
    described = next(step for step in report.steps if step.name == "describe")
    blind = next(step for step in report.steps if step.name == "diagnose_blind").detail["result"]
    frames = open_clip(clip, frames=FRAMES, writing="keep").frames
    by_colour = colour.shares(colour_numbers(frames), sample.site) if colour else {}
    return Outcome(
        path=sample.path.name,
        label=sample.label,
        site=sample.site,
        truth=sample.diagnosis,
        blind=report.blind_diagnosis,
        final=report.diagnosis,
        confidence=report.confidence,
        abstained=report.abstained,
        features=verified.detail["features"],
        attributes=descriptions.agreement(described.detail["result"]["description"], measure(frames)),
        seconds=sum(step.seconds for step in report.steps),
        group=sample.group,
        cases=report.vote.diagnosis if report.vote else "",
        colour=next(iter(by_colour), ""),
        blind_confidence=max(c["probability"] for c in blind["differential"]),
    )


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """Order samples so that each group gives its first one, then its second one. Within a group, file hashes decide."""
    by_group: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda s: hashlib.sha256(s.path.name.encode()).digest()):
        by_group[sample.group].append(sample)
    ranked = [
        (rank, number, s) for number, group in enumerate(by_group.values()) for rank, s in enumerate(group)
    ]
    return [s for _, _, s in sorted(ranked, key=lambda entry: entry[:2])]
