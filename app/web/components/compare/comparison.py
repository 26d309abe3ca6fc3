"""Two reports of one case, put beside each other. Plain Python; the page draws what comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videopath.app.web.components.shared.choices import knowledge_name

if TYPE_CHECKING:
    from videopath.agent import CaseReport, SimilarCase, Step

_ASKED = ("start", "end", "sampling", "review", "device", "dtype", "seed", "base")


@dataclass(frozen=True)
class Pair:
    """One thing of both runs, in words."""

    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the runs are not alike in it."""
        return self.first != self.second


@dataclass(frozen=True)
class Shared:
    """The similar cases of both runs, by id."""

    both: list[tuple[SimilarCase, SimilarCase]]
    only_first: list[SimilarCase]
    only_second: list[SimilarCase]


@dataclass(frozen=True)
class StepPair:
    """The same step of both runs; none where a run did not take it."""

    name: str
    first: Step | None
    second: Step | None


def same_video(first: CaseReport, second: CaseReport) -> bool:
    """Whether both looked at the same bytes."""
    return bool(first.video and second.video and first.video.sha256 == second.video.sha256)


def settings(first: CaseReport, second: CaseReport) -> list[Pair]:
    """What was asked of both runs, and with what; the policy's values only where they differ."""
    one, other = dict(_asked(first)), dict(_asked(second))
    names = dict.fromkeys([*one, *other])
    pairs = [Pair(name, one.get(name, "not set"), other.get(name, "not set")) for name in names]
    return [pair for pair in pairs if pair.differs or not pair.name.startswith("policy: ")]


def similar(first: CaseReport, second: CaseReport) -> Shared:
    """Which similar cases both runs found, and which only one of them; in the order of the scores."""
    ours = {case.id: case for case in first.similar_cases}
    theirs = {case.id: case for case in second.similar_cases}
    return Shared(
        both=[(case, theirs[case.id]) for case in ours.values() if case.id in theirs],
        only_first=[case for case in ours.values() if case.id not in theirs],
        only_second=[case for case in theirs.values() if case.id not in ours],
    )


def steps(first: CaseReport, second: CaseReport) -> list[StepPair]:
    """The steps of both runs; the second describe of one stands beside the second describe of the other."""
    ours, theirs = _numbered(first.steps), _numbered(second.steps)
    return [StepPair(name, ours.get(name), theirs.get(name)) for name in _merged(list(ours), list(theirs))]


def _asked(report: CaseReport) -> Iterator[tuple[str, str]]:
    chosen = report.settings
    yield "model", report.model
    yield "weights", str(report.provenance.get("weights", ""))[:12]
    yield "knowledge", knowledge_name(chosen.knowledge)
    yield "frames", str(len(report.video.seconds)) if report.video else "none"
    yield "site", report.site or "not given"
    yield "question", report.question or "the best diagnosis"
    values = chosen.model_dump()
    for name in _ASKED:
        if values.get(name) is not None:
            yield name, str(values[name])
    if chosen.exclude:
        yield "left out of the search", ", ".join(chosen.exclude)
    for name, value in chosen.policy.items():
        if name not in _ASKED:  # the review mode stands in both
            yield f"policy: {name.replace('_', ' ')}", "not set" if value is None else str(value)


def _numbered(taken: Sequence[Step]) -> dict[str, Step]:
    seen: Counter[str] = Counter()
    found = {}
    for step in taken:
        seen[step.name] += 1
        name = step.name.replace("_", " ")
        found[name if seen[step.name] == 1 else f"{name} ({seen[step.name]})"] = step
    return found


def _merged(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """All names, each run's in its own order: what only the second has comes after what it follows there."""
    names, place = list(ours), 0
    for name in theirs:
        if name not in names:
            names.insert(place, name)
        place = names.index(name) + 1
    return names
