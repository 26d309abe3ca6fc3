"""Replay: a case is run again from its bundle and its video, and compared field by field."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import INPUTS_NAME, CaseLibrary
from videopath.agent.cases.records import (
    Candidate,
    CaseReport,
    Decision,
    RunSettings,
    SecondOpinion,
    Step,
)
from videopath.agent.cases.request import CaseRequest
from videopath.agent.policy import Policy
from videopath.core.errors import CaseError, InputError
from videopath.core.privacy.paths import find_path
from videopath.model.inference.spec import EngineSpec, ModelSource

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


class FieldDifference(BaseModel):
    """A field that differs between the two runs."""

    field: str
    before: str
    after: str


class ReplayResult(BaseModel):
    """The result of a replay."""

    case_id: str
    problems: list[str]
    """What was changed in the bundle since it was written, a sentence each."""
    differences: list[FieldDifference]
    notes: list[str]
    """What was not compared, and why."""
    report: CaseReport
    """The report of the second run."""

    @property
    def same(self) -> bool:
        """Whether the bundle is unchanged and both runs agree."""
        return not self.problems and not self.differences


def replay(
    bundle: str | Path,
    video: str | Path,
    *,
    model: str | Path | Engine | None = None,
    base: str | None = None,
    second_opinion: ModelSource | Engine | None = None,
    knowledge: str | Path | KnowledgeBase | None = None,
    device: str | None = None,
    accept_licence: bool = False,
    on_step: Callable[[Step], None] | None = None,
) -> ReplayResult:
    """Run the case of a bundle again with the same settings, in a temporary home, and compare the two reports.

    The decisions of the reviews are given again; a signature after the end is not.

    Args:
        bundle: The bundle, a zip file.
        video: The video of the case.
        model: A name or a loaded engine, in place of the case's model.
        base: The base of ``model``, or in place of the case's base.
        second_opinion: In place of the case's second model: a name, a spec or a loaded engine.
        knowledge: In place of the case's knowledge base.
        device: In place of the case's device.
        accept_licence: Whether you accept the licence of weights from the hub.
        on_step: Called for each step as it finishes.

    Raises:
        InputError: The bundle cannot be read, the video is another one, the bundle names a model, base or knowledge base
            that you did not name, or you name a second model and the case has no second opinion.
    """
    original = read_bundle(Path(bundle))
    _refuse_other_video(original.report, Path(video))
    _require_names(
        original.report.settings,
        model=model,
        base=base,
        second_opinion=second_opinion,
        knowledge=knowledge,
    )
    settings = original.report.settings.model_copy()
    settings.policy = {**settings.policy, "review": "always" if _was_reviewed(original.report) else "never"}
    name, engine = (model, None) if isinstance(model, str | Path) else (None, model)
    spec = spec_of(settings).overridden(model=name, base=base, device=device, accept_licence=accept_licence)
    second = second_opinion or second_spec_of(settings, accept_licence=accept_licence)
    if device and isinstance(second, EngineSpec):
        second = second.overridden(device=device)
    with (
        tempfile.TemporaryDirectory(prefix="videopath-replay-") as home,
        agent_of(
            settings,
            Path(home),
            spec=spec,
            engine=engine,
            second_opinion=second,
            knowledge=knowledge,
        ) as agent,
    ):
        case_id = original.report.case_id
        request = dataclasses.replace(
            CaseRequest.of(original.report, case_id), video=video, writing=settings.writing
        )
        for step in agent.stream_case(request):
            if on_step:
                on_step(step)
        refused = _decide_again(agent, original.report, on_step)
        report = agent.report(case_id)
    report.folder = None  # the temporary home is deleted
    notes = []
    if _signed_afterwards(original.report):
        notes.append(
            "This case was signed after its end: diagnosis, description and status are the person's, so they were not compared."
        )
    if original.report.addenda:
        notes.append("People added addenda after the signature: they were not compared.")
    if _is_before_context_rules(original.report):
        notes.append(
            "An earlier version made this case and chose similar cases by other rules: differences may follow from that."
        )
    return ReplayResult(
        case_id=case_id,
        problems=original.problems,
        differences=[*refused, *differences(original.report.without_paths(), report.without_paths())],
        notes=notes,
        report=report,
    )


def _require_names(settings: RunSettings, **choices: Any) -> None:
    """Reject a model, base or knowledge base that only the bundle names: a bundle may come from a stranger."""
    if choices["model"] is not None:
        del choices["base"]  # the base of the bundle is not used with another model
    second = settings.second_opinion
    if second is None and choices["second_opinion"] is not None:
        raise InputError("The case of this bundle has no second opinion: leave the second model out.")
    for kind, choice in choices.items():
        named = second.model if kind == "second_opinion" and second else getattr(settings, kind)
        if choice is None and named not in (None, "", "nano"):
            what, option = kind.replace("second_opinion", "second model"), kind.replace("_", "-")
            raise InputError(
                f"The bundle names the {what} {named}; it is loaded only if you name it, too: if you have it and trust "
                f"it, give --{option} {named}, a folder with its whole path."
            )
    if second is not None and second.base and choices["second_opinion"] is None:
        raise InputError(
            f"The bundle names the base {second.base} of its second model: name the second model with its base yourself."
        )


def agent_of(
    settings: RunSettings,
    home: Path | CaseLibrary,
    *,
    spec: EngineSpec | None = None,
    engine: Engine | None = None,
    second_opinion: ModelSource | Engine | None = None,
    knowledge: str | Path | KnowledgeBase | None = None,
) -> DiagnosticAgent:
    """Return an agent with the settings of a case.

    Args:
        settings: The settings that the case was started with.
        home: Folder of the case library, or the library.
        spec: The model; default: that of the settings.
        engine: A loaded engine in place of the model.
        second_opinion: The second model or a loaded engine; default: that of the settings.
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
        second_opinion=second_opinion or second_spec_of(settings, accept_licence=spec.accept_licence),
        knowledge=knowledge or settings.knowledge,
        policy=policy,
        frames=settings.frames,
        writing=settings.writing,
        device=spec.device,  # of a loaded engine: for the record
        dtype=spec.dtype,
        home=None if isinstance(home, CaseLibrary) else home,
        library=home if isinstance(home, CaseLibrary) else None,
    )


def spec_of(settings: RunSettings, *, accept_licence: bool = False) -> EngineSpec:
    """Return the model of a case's settings."""
    return EngineSpec(settings.model, settings.base, settings.device, settings.dtype, accept_licence)


def second_spec_of(settings: RunSettings, *, accept_licence: bool = False) -> EngineSpec | None:
    """Return the second model of a case's settings; None if the case asks for no second opinion."""
    second = settings.second_opinion
    if second is None:
        return None
    return EngineSpec(second.model, second.base, second.device, second.dtype, accept_licence)


def settings_of(library: CaseLibrary, case_id: str) -> RunSettings:
    """Return the settings that a case was started with.

    Raises:
        CaseError: The case is unknown, or its inputs are missing or damaged.
    """
    library.entry(case_id)
    inputs = library.folder(case_id) / INPUTS_NAME
    try:
        return RunSettings.model_validate(json.loads(inputs.read_bytes())["settings"])
    except FileNotFoundError as error:
        raise CaseError(
            f"Case {case_id} was stopped before it started: delete it and diagnose its video again."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CaseError(f"{inputs} is damaged: diagnose the video again.") from error


def differences(before: CaseReport, after: CaseReport) -> Iterator[FieldDifference]:
    """Yield each field of the outcome that differs; numbers may differ by ``TOLERANCE``."""
    by_a_person = _signed_afterwards(before)
    for name in _EXACT:
        if not (by_a_person and name in _BY_A_PERSON):
            yield from _unless_equal(name, getattr(before, name), getattr(after, name))
    if not _close(before.confidence, after.confidence):
        yield FieldDifference(
            field="confidence", before=f"{before.confidence:.6f}", after=f"{after.confidence:.6f}"
        )
    yield from _differential(before.differential, after.differential)
    yield from _second_opinions(before.second_opinion, after.second_opinion)
    yield from _unless_equal("findings", _findings(before), _findings(after))
    yield from _similar_cases(before, after)
    for name in _HASHES:
        yield from _unless_equal(
            f"provenance.{name}", before.provenance.get(name), after.provenance.get(name)
        )


def _decide_again(
    agent: DiagnosticAgent, report: CaseReport, on_step: Callable[[Step], None] | None
) -> list[FieldDifference]:
    """Give the decisions of the case's reviews again; stop at the first that is rejected."""
    for decision in _review_decisions(report):
        again = decision.model_copy(update={"interrupt_id": None})
        try:
            for step in agent.stream_resume(report.case_id, again):
                if on_step:
                    on_step(step)
        except CaseError as error:
            by = decision.reviewer or "an unnamed reviewer"
            return [
                FieldDifference(
                    field="review", before=f"{decision.action} by {by}", after=f"refused: {error}"
                )
            ]
    return []


def _review_decisions(report: CaseReport) -> list[Decision]:
    """Return the decisions of reviews; those after them are signatures of the finished case."""
    return report.review[: sum(step.name == "review" for step in report.steps)]


def _was_reviewed(report: CaseReport) -> bool:
    return bool(_review_decisions(report)) or report.status == "waiting for review"


def _signed_afterwards(report: CaseReport) -> bool:
    return len(report.review) > len(_review_decisions(report))


def _differential(
    before: Sequence[Candidate], after: Sequence[Candidate], field: str = "differential"
) -> Iterator[FieldDifference]:
    then = {c.label: c.probability for c in before}
    now = {c.label: c.probability for c in after}
    for label in dict.fromkeys([*then, *now]):
        first, second = then.get(label), now.get(label)
        if first is None or second is None or not _close(first, second):
            yield FieldDifference(field=f"{field}: {label}", before=_number(first), after=_number(second))


def _second_opinions(before: SecondOpinion | None, after: SecondOpinion | None) -> Iterator[FieldDifference]:
    if before is None or after is None:
        yield from _unless_equal("second_opinion", _sentence(before), _sentence(after))
        return
    for name in ("label", "agrees", "description", "rationale", "failure", "weights", "scoring"):
        yield from _unless_equal(f"second_opinion.{name}", getattr(before, name), getattr(after, name))
    yield from _differential(before.differential, after.differential, "second_opinion.differential")


def _sentence(opinion: SecondOpinion | None) -> str:
    return "none" if opinion is None else opinion.sentence


def _similar_cases(before: CaseReport, after: CaseReport) -> Iterator[FieldDifference]:
    yield from _unless_equal("similar_cases", _neighbours(before), _neighbours(after))
    scores = {case.id: case.score for case in before.similar_cases}
    for case in after.similar_cases:
        if case.id in scores and not _close(scores[case.id], case.score):
            yield FieldDifference(
                field=f"similar_cases: {case.id}", before=_number(scores[case.id]), after=_number(case.score)
            )
    if not _is_before_context_rules(before):
        yield from _views(before, after)
        yield from _unless_equal("excluded", _excluded(before), _excluded(after))


def _views(before: CaseReport, after: CaseReport) -> Iterator[FieldDifference]:
    """Compare the scores in each view. Ranks are not compared: nearly equal scores swap them."""
    then = {case.id: case.scores for case in before.similar_cases}
    for case in after.similar_cases:
        for view in dict.fromkeys([*then.get(case.id, {}), *case.scores]) if case.id in then else ():
            first, second = then[case.id].get(view), case.scores.get(view)
            if first is None or second is None or not _close(first, second):
                yield FieldDifference(
                    field=f"similar_cases: {case.id}, {view}", before=_number(first), after=_number(second)
                )


def _is_before_context_rules(report: CaseReport) -> bool:
    """Return whether the case is older than the context rules."""
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


def _unless_equal(field: str, before: Any, after: Any) -> Iterator[FieldDifference]:
    if before != after:
        yield FieldDifference(field=field, before=_text(before), after=_text(after))


def _text(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value)


def _number(value: float | None) -> str:
    return "absent" if value is None else f"{value:.6f}"


def _close(first: float, second: float) -> bool:
    return abs(first - second) <= TOLERANCE


def _refuse_other_video(report: CaseReport, video: Path) -> None:
    from videopath.media.clip import open_source

    if report.video is None:
        raise InputError(
            "The case of this bundle ended before its video was read: there is nothing to repeat."
        )
    if not find_path(video).exists():
        raise InputError(f"There is no file {video}; give the video of the case.")
    sha256 = open_source(video).sha256()
    if sha256 != report.video.sha256:
        raise InputError(
            f"{video} is not the video of the case: its SHA-256 is {sha256[:12]}…, the bundle has "
            f"{report.video.sha256[:12]}…."
        )
