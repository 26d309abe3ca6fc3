"""How good the agent is on held-out clips, and how its confidence is calibrated.

Every held-out tile becomes a clip of eight frames (a still view, a pan or a zoom over it, without any change of
colour), goes through the whole agent with its site given, and the answer is compared with the known diagnosis.
Intervals are Wilson's, 95%.
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
from videopath.core.errors import InputError
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
    """One clip: what is true, what was said, and how sure the agent was."""

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
    """Attribute → whether the description's word is the measured one."""
    seconds: float
    group: str = ""
    """Source field, slide or patient; empty of outcomes that were kept before it was."""
    cases: str = ""
    """What the similar cases alone said; empty where none voted."""
    colour: str = ""
    """What six colour numbers alone say: the trivial baseline."""
    blind_confidence: float = 0.0
    """The first probability of the differential before retrieval."""

    @property
    def right(self) -> bool:
        """Whether the final label is the true one."""
        return normalised_label(self.final) == normalised_label(self.truth)

    @property
    def blind_right(self) -> bool:
        """Whether the label before retrieval is the true one."""
        return normalised_label(self.blind) == normalised_label(self.truth)

    def said_rightly(self, label: str) -> bool:
        """Whether another system's label is the true one."""
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
    """Share of clips on which the agent did not abstain."""
    accuracy_when_answered: Share
    confusion: dict[str, dict[str, int]]
    """True diagnosis → said diagnosis → clips."""
    calibration_error: float
    """Expected calibration error over ten equal bins of confidence (Naeini et al., AAAI 2015)."""
    seconds_per_clip: float
    signed_wrongly: Estimate
    """Share of all clips for which a wrong diagnosis was given out; bootstrap over groups, as all that follow."""
    worst: tuple[str, Share]
    """The diagnosis of whose own clips most were given out wrongly, and how many."""
    alone: dict[str, Estimate]
    """``cases``, ``colour`` → accuracy of each alone; without those that were not asked."""
    equal_coverage: Estimate | None
    """Right of those given out, the agent less the model before retrieval, which gives out as many of its surest."""
    helped: int
    """Clips that the agent is right about and the model before retrieval is not."""
    hurt: int

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)


def held_out(data: Path, split: Split, per_class: int) -> list[Sample]:
    """At most ``per_class`` tiles of each class on one side, as many groups as there are, always the same ones."""
    by_label: dict[str, list[Sample]] = defaultdict(list)
    for sample in corpus.read_tiles(data):
        if sample.split == split:
            by_label[sample.label].append(sample)
    return [s for label in corpus.LABELS for s in _spread(by_label[label])[:per_class]]


def clip_frames(sample: Sample) -> np.ndarray:
    """A clip over a sample, uint8 [8, 224, 224, 3]; the same for the same file name."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(sample.path.name.encode()).digest()[:8], "big"))
    image = corpus.load_images([sample])[0]
    return views.clip_views([image], FRAMES, _SIDE, rng, augment=False)


def write_clip(
    sample: Sample, folder: Path, changed: Callable[[np.ndarray], np.ndarray] | None = None
) -> Path:
    """Write the sample's clip, as it is or ``changed``, as a folder of PNG frames."""
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
    """Diagnose each sample's clip with its site given; outcomes come as they are known.

    ``colour``: cases by whose colours alone each clip is answered as well; ``stain``: all clips are brought to one colour.
    """
    for sample in samples:
        clip = write_clip(sample, folder, one_colour if stain else None)
        report = agent.diagnose(clip, site=sample.site)
        if on_report:
            on_report(sample, report)
        yield _outcome(sample, report, clip, colour)


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """The figures over all clips. Raises ``InputError`` where there are none."""
    if not outcomes:
        raise InputError("No clip was evaluated: the data folder holds none on this side of the split.")
    by_class = {label: Share.of([o.right for o in outcomes if o.label == label]) for label in corpus.LABELS}
    by_class = {label: share for label, share in by_class.items() if share.count}
    confusion: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in outcomes:
        confusion[outcome.truth][outcome.final] += 1
    answered = [o for o in outcomes if not o.abstained]
    words = [hit for o in outcomes for hit in o.attributes.values()]
    return Summary(
        accuracy=Share.of([o.right for o in outcomes]),
        mean_class_accuracy=float(np.mean([share.value for share in by_class.values()])),
        blind_accuracy=Share.of([o.blind_right for o in outcomes]),
        by_class=by_class,
        attributes=Share.of(words),
        by_attribute={s.attribute: Share.of([o.attributes[s.attribute] for o in outcomes]) for s in SCALES},
        coverage=Share.of([not o.abstained for o in outcomes]),
        accuracy_when_answered=Share.of([o.right for o in answered]),
        confusion={truth: dict(row) for truth, row in confusion.items()},
        calibration_error=_calibration_error(outcomes),
        seconds_per_clip=float(np.mean([o.seconds for o in outcomes])),
        signed_wrongly=_estimate([not (o.abstained or o.right) for o in outcomes], outcomes),
        worst=_worst(outcomes),
        alone={
            name: _estimate([o.said_rightly(getattr(o, name)) for o in outcomes], outcomes)
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
    )


def _worst(outcomes: Sequence[Outcome]) -> tuple[str, Share]:
    wrong: dict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        wrong[outcome.truth].append(not (outcome.abstained or outcome.right))
    shares = {truth: Share.of(hits) for truth, hits in wrong.items()}
    return max(shares.items(), key=lambda item: item[1].value)


def _estimate(hits: Sequence[bool], outcomes: Sequence[Outcome]) -> Estimate:
    return Estimate.of([float(hit) for hit in hits], [o.group or o.path for o in outcomes])


def _outcome(sample: Sample, report: CaseReport, clip: Path, colour: ColourNeighbours | None) -> Outcome:
    verified = next(step for step in report.steps if step.name == "verify")
    described = next(step for step in report.steps if step.name == "describe")
    blind = next(step for step in report.steps if step.name == "diagnose_blind").detail["result"]
    frames = open_clip(clip, frames=FRAMES).frames
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
    """One of each group first, then the second of each, in the order of the files' hashes."""
    by_group: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda s: hashlib.sha256(s.path.name.encode()).digest()):
        by_group[sample.group].append(sample)
    ranked = [
        (place, number, s) for number, group in enumerate(by_group.values()) for place, s in enumerate(group)
    ]
    return [s for _, _, s in sorted(ranked, key=lambda entry: entry[:2])]


def _calibration_error(outcomes: Sequence[Outcome], bins: int = 10) -> float:
    confidence = np.array([o.confidence for o in outcomes])
    right = np.array([o.right for o in outcomes], dtype=float)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        (place == b).mean() * abs(right[place == b].mean() - confidence[place == b].mean())
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps))
