"""Two reports of one case side by side, in plain Python; the page draws the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videopath.app.web.components.shared.choices import knowledge_name

if TYPE_CHECKING:
    from videopath.agent import CaseReport, SimilarCase, Step

_SETTINGS = ("start", "end", "sampling", "review", "device", "dtype", "seed", "base")


@dataclass(frozen=True)
class SettingPair:
    """One setting of both runs, in words."""

    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the runs differ in this setting."""
        return self.first != self.second


@dataclass(frozen=True)
class SimilarCaseSets:
    """The similar cases of two runs: found by both, or by one of them."""

    both: list[tuple[SimilarCase, SimilarCase]]
    only_first: list[SimilarCase]
    only_second: list[SimilarCase]


@dataclass(frozen=True)
class StepPair:
    """The same step of both runs; None if a run did not take it."""

    name: str
    first: Step | None
    second: Step | None


def same_video(first: CaseReport, second: CaseReport) -> bool:
    """Return whether both runs saw the same file, by its hash."""
    return bool(first.video and second.video and first.video.sha256 == second.video.sha256)


def settings(first: CaseReport, second: CaseReport) -> list[SettingPair]:
    """Return request and settings of both runs; values of the policy only if they differ."""
    ours, theirs = dict(_settings_of(first)), dict(_settings_of(second))
    names = dict.fromkeys([*ours, *theirs])
    pairs = [SettingPair(name, ours.get(name, "not set"), theirs.get(name, "not set")) for name in names]
    return [pair for pair in pairs if pair.differs or not pair.name.startswith("policy: ")]


def similar(first: CaseReport, second: CaseReport) -> SimilarCaseSets:
    """Return the similar cases that both runs found, and those of one run only, in the order of their scores."""
    ours = {case.id: case for case in first.similar_cases}
    theirs = {case.id: case for case in second.similar_cases}
    return SimilarCaseSets(
        both=[(case, theirs[case.id]) for case in ours.values() if case.id in theirs],
        only_first=[case for case in ours.values() if case.id not in theirs],
        only_second=[case for case in theirs.values() if case.id not in ours],
    )


def steps(first: CaseReport, second: CaseReport) -> list[StepPair]:
    """Return the steps of both runs in pairs: the second describe of one run with the second of the other."""
    ours, theirs = _numbered(first.steps), _numbered(second.steps)
    return [StepPair(name, ours.get(name), theirs.get(name)) for name in _merged(list(ours), list(theirs))]


def _settings_of(report: CaseReport) -> Iterator[tuple[str, str]]:
    run_settings = report.settings
    yield "model", report.model
    yield "weights", str(report.provenance.get("weights", ""))[:12]
    if report.second_opinion is not None:
        yield "second opinion", report.second_opinion.model
    yield "knowledge", knowledge_name(run_settings.knowledge)
    yield "frames", str(len(report.video.seconds)) if report.video else "none"
    yield "site", report.site or "not given"
    yield "question", report.question or "the best diagnosis"
    values = run_settings.model_dump()
    for name in _SETTINGS:
        if values.get(name) is not None:
            yield name, str(values[name])
    if run_settings.exclude:
        yield "excluded from the search", ", ".join(run_settings.exclude)
    for name, value in run_settings.policy.items():
        if name not in _SETTINGS:  # settings and policy both hold the review mode
            yield f"policy: {name.replace('_', ' ')}", "not set" if value is None else str(value)


def _numbered(taken: Sequence[Step]) -> dict[str, Step]:
    counts: Counter[str] = Counter()
    by_name = {}
    for step in taken:
        counts[step.name] += 1
        name = step.name.replace("_", " ")
        by_name[name if counts[step.name] == 1 else f"{name} ({counts[step.name]})"] = step
    return by_name


def _merged(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """All names in order; a name that only the second run has follows its predecessor in that run."""
    names, position = list(ours), 0
    for name in theirs:
        if name not in names:
            names.insert(position, name)
        position = names.index(name) + 1
    return names
