"""The second opinion: another model describes and diagnoses the same frames, blind.

It sees neither the first model's answers nor similar cases. Only the list of diagnoses that the first model knows for the
site is offered to it as well: otherwise two models with lists of their own could not agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videopath.agent.cases.records import SecondOpinion, Step
from videopath.agent.decision.not_known import says_not_known
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.agent.decision.vocabulary import mark_unknown_terms
from videopath.agent.graph.steps import StepDraft
from videopath.agent.graph.view import StateView
from videopath.agent.report.phrases import choice_in_words
from videopath.core.errors import CaseError
from videopath.core.pathology.labels import normalised_label
from videopath.tools.describe import Description, describe_clip
from videopath.tools.diagnose import DiagnoseTool, site_labels
from videopath.tools.schemas import Candidate, DiagnoseResult, FramesSeen, ModelCall
from videopath.tools.session_pool import Recording, SessionPool

if TYPE_CHECKING:
    from videopath.agent.graph.state import Json
    from videopath.model.card import Card
    from videopath.model.inference.engine import EngineInfo

_MAX_CANDIDATES = 64  # further diagnoses that ``diagnose_tissue`` takes


@dataclass(frozen=True)
class SecondAnswer:
    """What the second model answered, with what it was asked."""

    described: Description
    frames: FramesSeen
    call: ModelCall
    """The question for the description."""
    result: DiagnoseResult
    arguments: Json


def ask_second_model(
    case: StateView, recording: Recording, base_diagnoses: Callable[[], Collection[str]]
) -> SecondAnswer:
    """Let the second model describe and diagnose the frames of the present look; its findings get no moments.

    Args:
        case: The case; its first model has diagnosed.
        recording: The second model's sessions, with the journal of the case.
        base_diagnoses: Returns the diagnoses of the knowledge base, for the check of terms; called only if it matters.

    Raises:
        EngineError: The model fails.
        InputError: The model cannot take the question.
    """
    request, policy, session = case.request_json, case.policy, recording.open(case.request)
    started = time.perf_counter()
    described = describe_clip(session, case.site, policy.description_tokens)
    call = session.call(described.question, time.perf_counter() - started)
    candidates = _offered(case.model.card, recording.info.card, case.site)
    arguments = {
        "description": described.text,
        "site": case.site,
        "question": case.question,
        "neighbours": [],
        "samples": 0,
        **({"candidates": candidates} if candidates else {}),
        "max_new_tokens": policy.answer_tokens,
    }
    diagnose = DiagnoseTool(sessions=recording)
    result: DiagnoseResult = diagnose.invoke({**request, **arguments})
    named = [_of_the_list(candidate) for candidate in result.differential]
    result = result.model_copy(update={"differential": named})
    result = mark_unknown_terms(result, recording.info.card, base_diagnoses)
    return SecondAnswer(described, session.frames(), call, result, arguments)


def opinion_of(
    answer: SecondAnswer, info: EngineInfo, label: str, unknown_label: str | None
) -> SecondOpinion:
    """Return the second opinion.

    Args:
        answer: What the second model answered.
        info: What the second model is.
        label: The diagnosis of the look without it.
        unknown_label: What the first model says of tissue that it does not know.
    """
    result = answer.result
    known = _is_diagnosis(result.label, info.card.unknown_label)
    first_known = _is_diagnosis(label, unknown_label)
    same = normalised_label(result.label) == normalised_label(label)
    return SecondOpinion(
        model=info.name,
        **_facts(info),
        label=result.label,
        gives_diagnosis=known,
        agrees=same if known and first_known else known == first_known,
        differential=result.differential,
        rationale=result.rationale,
        description=answer.described.text,
    )


def failed_opinion(pool: SessionPool, why: str) -> SecondOpinion:
    """Return the record of a second model that could not be loaded or could not answer; ``why`` is the error."""
    if not pool.loaded:
        return SecondOpinion(model=pool.name, failure=why)
    return SecondOpinion(model=pool.info.name, **_facts(pool.info), failure=why)


def answered_step(
    case: StateView, draft: StepDraft, answer: SecondAnswer, opinion: SecondOpinion, label: str
) -> Step:
    """Return the step of a second opinion; ``label`` is the diagnosis of the look without it."""
    same = "it agrees" if opinion.agrees else f"the first answer is {label}"
    result = answer.result
    return draft.done(
        f"{opinion.model} says {choice_in_words(result)}; {same}",
        detail={
            "request": case.state["request"],
            **answer.arguments,
            "described": {
                "description": answer.described.text,
                "frames": answer.frames.model_dump(mode="json"),
                "call": answer.call.model_dump(mode="json"),
                "notes": answer.described.notes,
            },
            "result": result.model_dump(mode="json"),
            "opinion": opinion.model_dump(mode="json"),
        },
        evidence=[f"frame {index}" for index in answer.frames.indices],
        hashes={
            "weights": opinion.weights,
            "frames": answer.frames.sha256,
            "prompt of the description": answer.call.prompt_sha256,
            "prompt": result.call.prompt_sha256,
        },
    )


def failed_step(case: StateView, draft: StepDraft, opinion: SecondOpinion) -> Step:
    """Return the step of a second model that could not answer."""
    return draft.done(
        opinion.sentence,
        detail={"request": case.state["request"], "opinion": opinion.model_dump(mode="json")},
    )


def refuse_other_weights(case: StateView, info: EngineInfo) -> None:
    """Raise ``CaseError`` if an earlier look of the case was judged by a second model with other weights."""
    for opinion in (*(look.second for look in case.looks), case.second):
        if opinion is not None and opinion.weights not in ("", info.weights_sha256):
            raise CaseError(
                f"The second opinion of case {case.case_id} was given by {opinion.model} "
                f"({opinion.weights[:12]}…), not by {info.name} ({info.weights_sha256[:12]}…): "
                "resume it with that model, or start a new case."
            )


def _facts(info: EngineInfo) -> Json:
    return {
        "weights": info.weights_sha256,
        "device": info.device,
        "address": info.address,
        "scoring": info.scoring,
    }


def _is_diagnosis(label: str, unknown_label: str | None) -> bool:
    return not (is_no_diagnosis(label, unknown_label) or says_not_known(label, unknown_label))


def _offered(first: Card, second: Card, site: str | None) -> list[str]:
    """Return the diagnoses that only the first model's card lists for the site; none if they are too many to score."""
    own = {normalised_label(label) for label in site_labels(second.labels, site)}
    others = [label for label in site_labels(first.labels, site) if normalised_label(label) not in own]
    return others if len(others) <= _MAX_CANDIDATES else []


def _of_the_list(candidate: Candidate) -> Candidate:
    """Return a candidate whose support names the list instead of similar cases, which the second model never sees."""
    support = ["site list" if source == "cases" else source for source in candidate.support]
    return candidate.model_copy(update={"support": list(dict.fromkeys(support))})
