"""Replay: a case is run again from its bundle and its video, and compared field by field."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import INPUTS_NAME, CaseLibrary
from videopath.agent.cases.records import CaseReport, Decision, RunSettings, Step
from videopath.agent.cases.request import CaseRequest
from videopath.agent.policy import Policy
from videopath.core.errors import CaseError, InputError
from videopath.model.inference.spec import EngineSpec

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine

TOLERANCE = 1e-4  # of probabilities, similarities and the confidence: kernels differ between machines
_EXACT = (
    "status",
    "description",
    "diagnosis",
    "rationale",
    "blind_diagnosis",
    "changed_by_retrieval",
    "abstained",
)
_BY_A_PERSON = ("status", "description", "diagnosis", "abstained")
_HASHES = ("weights", "video", "frames", "prompts", "knowledge")


class Difference(BaseModel):
    """A field that is not as it was."""

    field: str
    before: str
    after: str


class ReplayResult(BaseModel):
    """What a replay found."""

    case_id: str
    problems: list[str]
    """What was changed in the bundle since it was written."""
    differences: list[Difference]
    notes: list[str]
    """What was not compared, and why."""
    report: CaseReport
    """The report of the second run."""

    @property
    def same(self) -> bool:
        """Whether bundle and case are as they were."""
        return not self.problems and not self.differences


def replay(
    bundle: str | Path,
    video: str | Path,
    *,
    model: str | Path | Engine | None = None,
    base: str | None = None,
    knowledge: str | Path | KnowledgeBase | None = None,
    device: str | None = None,
    accept_licence: bool = False,
    on_step: Callable[[Step], None] | None = None,
) -> ReplayResult:
    """Run the case of a bundle again with the same settings, in a home of its own, and compare.

    The decisions of its reviews are given again, each at its review; a signature after the end is not.

    ``model`` (a name or an engine) with its ``base``, ``knowledge`` and ``device`` stand in for those of the case
    where they are elsewhere now. Raises ``InputError`` when the bundle cannot be read or the video is another one.
    """
    then = read_bundle(Path(bundle))
    _refuse_other_video(then.report, Path(video))
    _refuse_unnamed(then.report.settings, model=model, base=base, knowledge=knowledge)
    settings = then.report.settings.model_copy()
    settings.policy = {**settings.policy, "review": "always" if _was_reviewed(then.report) else "never"}
    name, engine = (model, None) if isinstance(model, str | Path) else (None, model)
    spec = spec_of(settings).overridden(model=name, base=base, device=device, accept_licence=accept_licence)
    with (
        tempfile.TemporaryDirectory(prefix="videopath-replay-") as home,
        agent_of(settings, Path(home), spec=spec, engine=engine, knowledge=knowledge) as agent,
    ):
        case_id = then.report.case_id
        request = dataclasses.replace(CaseRequest.of(then.report, case_id), video=video)
        for step in agent.stream_case(request):
            if on_step:
                on_step(step)
        refused = _decide_again(agent, then.report, on_step)
        now = agent.report(case_id)
    now.folder = None  # it was in the home that is gone
    notes = []
    if _signed_afterwards(then.report):
        notes.append(
            "This case was signed after its end: label, description and status are the person's and were not compared."
        )
    if then.report.addenda:
        notes.append("People added addenda after the signature: they were not compared.")
    if _before_the_rules(then.report):
        notes.append(
            "This case is of an earlier version, which chose similar cases by other rules: what differs may follow from them."
        )
    return ReplayResult(
        case_id=case_id,
        problems=then.problems,
        differences=[*refused, *differences(then.report.without_paths(), now.without_paths())],
        notes=notes,
        report=now,
    )


def _refuse_unnamed(settings: RunSettings, **named: Any) -> None:
    """A bundle may be a stranger's: nothing is loaded or downloaded because it says so, only because the user names it."""
    if named["model"] is not None:
        del named["base"]  # that of the bundle is not used with another model
    for kind, given in named.items():
        name = getattr(settings, kind)
        if given is None and name not in (None, "", "nano"):
            raise InputError(
                f"The bundle was made with the {kind} {name}, which is not loaded because a bundle says so: if you "
                f"have it and trust it, give --{kind} {name}, a folder with its whole path."
            )


def agent_of(
    settings: RunSettings,
    home: Path,
    *,
    spec: EngineSpec | None = None,
    engine: Engine | None = None,
    knowledge: str | Path | KnowledgeBase | None = None,
) -> DiagnosticAgent:
    """Return an agent with the settings of a case.

    Args:
        settings: The settings that the case was started with.
        home: Folder of the case library.
        spec: The model; default: that of the settings.
        engine: A loaded engine in place of the model.
        knowledge: The knowledge base; default: that of the settings.

    Raises:
        CaseError: The policy of the settings is not usable.
    """
    spec = spec or spec_of(settings)
    try:
        policy = Policy.model_validate(settings.policy)
    except ValidationError as error:
        raise CaseError(f"The policy of the case is not usable: {error.errors()[0]['msg']}.") from error
    return DiagnosticAgent.load(
        model=engine or spec,
        knowledge=knowledge or settings.knowledge,
        policy=policy,
        frames=settings.frames,
        device=spec.device,  # of a loaded engine: for the record
        dtype=spec.dtype,
        home=home,
    )


def spec_of(settings: RunSettings, *, accept_licence: bool = False) -> EngineSpec:
    """Return the model of a case's settings."""
    return EngineSpec(settings.model, settings.base, settings.device, settings.dtype, accept_licence)


def settings_of(library: CaseLibrary, case_id: str) -> RunSettings:
    """The settings that a case was begun with, finished or not."""
    library.entry(case_id)
    inputs = library.folder(case_id) / INPUTS_NAME
    try:
        return RunSettings.model_validate(json.loads(inputs.read_bytes())["settings"])
    except FileNotFoundError as error:
        raise CaseError(
            f"Case {case_id} was stopped before it began: delete it and diagnose its video again."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CaseError(f"{inputs} is damaged: diagnose the video again.") from error


def differences(before: CaseReport, after: CaseReport) -> Iterator[Difference]:
    """Every field of the outcome that is not the same; numbers may differ by ``TOLERANCE``."""
    by_a_person = _signed_afterwards(before)
    for name in _EXACT:
        if not (by_a_person and name in _BY_A_PERSON):
            yield from _unless_equal(name, getattr(before, name), getattr(after, name))
    if not _close(before.confidence, after.confidence):
        yield Difference(
            field="confidence", before=f"{before.confidence:.6f}", after=f"{after.confidence:.6f}"
        )
    yield from _differential(before, after)
    yield from _unless_equal("findings", _findings(before), _findings(after))
    yield from _similar_cases(before, after)
    for name in _HASHES:
        yield from _unless_equal(
            f"provenance.{name}", before.provenance.get(name), after.provenance.get(name)
        )


def _decide_again(
    agent: DiagnosticAgent, report: CaseReport, on_step: Callable[[Step], None] | None
) -> list[Difference]:
    """Give the decisions of the case's reviews again; the first that cannot be given is the last."""
    for decision in _given_at_reviews(report):
        again = decision.model_copy(update={"interrupt_id": None})
        try:
            for step in agent.stream_resume(report.case_id, again):
                if on_step:
                    on_step(step)
        except CaseError as error:
            by = decision.reviewer or "an unnamed reviewer"
            return [
                Difference(field="review", before=f"{decision.action} by {by}", after=f"refused: {error}")
            ]
    return []


def _given_at_reviews(report: CaseReport) -> list[Decision]:
    """The decisions that the graph waited for; those after them are signatures of a finished case."""
    return report.review[: sum(step.name == "review" for step in report.steps)]


def _was_reviewed(report: CaseReport) -> bool:
    return bool(_given_at_reviews(report)) or report.status == "waiting for review"


def _signed_afterwards(report: CaseReport) -> bool:
    return len(report.review) > len(_given_at_reviews(report))


def _differential(before: CaseReport, after: CaseReport) -> Iterator[Difference]:
    then = {c.label: c.probability for c in before.differential}
    now = {c.label: c.probability for c in after.differential}
    for label in dict.fromkeys([*then, *now]):
        one, other = then.get(label), now.get(label)
        if one is None or other is None or not _close(one, other):
            yield Difference(field=f"differential: {label}", before=_number(one), after=_number(other))


def _similar_cases(before: CaseReport, after: CaseReport) -> Iterator[Difference]:
    yield from _unless_equal("similar_cases", _neighbours(before), _neighbours(after))
    scores = {case.id: case.score for case in before.similar_cases}
    for case in after.similar_cases:
        if case.id in scores and not _close(scores[case.id], case.score):
            yield Difference(
                field=f"similar_cases: {case.id}", before=_number(scores[case.id]), after=_number(case.score)
            )
    if not _before_the_rules(before):
        yield from _views(before, after)
        yield from _unless_equal("excluded", _excluded(before), _excluded(after))


def _views(before: CaseReport, after: CaseReport) -> Iterator[Difference]:
    """Scores in each view. Ranks follow from them and swap where two are nearly equal, so they are not compared."""
    then = {case.id: case.scores for case in before.similar_cases}
    for case in after.similar_cases:
        for view in dict.fromkeys([*then.get(case.id, {}), *case.scores]) if case.id in then else ():
            one, other = then[case.id].get(view), case.scores.get(view)
            if one is None or other is None or not _close(one, other):
                yield Difference(
                    field=f"similar_cases: {case.id}, {view}", before=_number(one), after=_number(other)
                )


def _before_the_rules(report: CaseReport) -> bool:
    """Whether the case is older than the rules by which similar cases become evidence."""
    return "context" not in report.settings.policy


def _findings(report: CaseReport) -> list[str]:
    return [f"{finding.frame}: {finding.text}" for finding in report.findings]


def _neighbours(report: CaseReport) -> list[str]:
    return [
        f"{case.id} ({case.diagnosis}{'' if case.kept else ', not used'})" for case in report.similar_cases
    ]


def _excluded(report: CaseReport) -> list[str]:
    return [
        f"{report.excluded_count} records",
        *sorted(f"{case.id} ({case.reason})" for case in report.excluded),
    ]


def _unless_equal(field: str, before: Any, after: Any) -> Iterator[Difference]:
    if before != after:
        yield Difference(field=field, before=_text(before), after=_text(after))


def _text(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value)


def _number(value: float | None) -> str:
    return "absent" if value is None else f"{value:.6f}"


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE


def _refuse_other_video(report: CaseReport, video: Path) -> None:
    from videopath.media.clip import open_source

    if report.video is None:
        raise InputError(
            "The case of this bundle ended before its video was read: there is nothing to repeat."
        )
    if not video.exists():
        raise InputError(f"There is no file {video}; give the video of the case.")
    found = open_source(video).sha256()
    if found != report.video.sha256:
        raise InputError(
            f"{video} is not the video of the case: its SHA-256 is {found[:12]}…, the bundle names "
            f"{report.video.sha256[:12]}…."
        )
