"""The describe tool: a description of a clip, and for each sentence the moment that shows it best."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, Field, SkipValidation, model_validator

from videopath.core.choices import MAX_ANSWER_TOKENS
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.model.prompts.template import without_marks
from videopath.tools.answers.json_answers import DESCRIPTION_FORM
from videopath.tools.answers.plain_answers import ask_for_findings
from videopath.tools.answers.sentences import split_sentences
from videopath.tools.base import TissueTool
from videopath.tools.evidence import is_tested, with_evidence
from videopath.tools.reference_clips import stand_in
from videopath.tools.schemas import ClipInput, DescribeResult, FramesSeen, LocatedFinding, Moment, SiteInput
from videopath.tools.session_pool import ClipSession, Recording, SessionPool, pool_of

_SCORED_AT_ONCE = 12  # sentences
_LONGEST_SCORED = 400  # characters


class DescribeInput(ClipInput, SiteInput):
    """The arguments of ``describe_tissue``."""

    max_new_tokens: int = Field(256, ge=1, le=MAX_ANSWER_TOKENS)


class DescribeTool(TissueTool):
    """The tool ``describe_tissue``.

    ``DescribeTool(engine="nano").invoke({"video": "case.mp4"})`` returns a :class:`DescribeResult`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "describe_tissue"
    description: str = (
        "Look at a histology video or image and describe its findings without a diagnosis. "
        "Each finding comes with the moment of the video that shows it best."
    )
    args_schema: type[DescribeInput] = DescribeInput
    sessions: SkipValidation[SessionPool | Recording] = Field(exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _engine_or_sessions(cls, values: dict[str, Any]) -> dict[str, Any]:
        return pool_of(values)

    def _run(self, site: str | None = None, max_new_tokens: int = 256, **clip: Any) -> DescribeResult:
        session = self.sessions.open(ClipInput(**clip))
        started = time.perf_counter()
        described = describe_clip(session, site, max_new_tokens)
        frames = session.frames()
        question = session.prompts.finding(PromptFacts(site=site))
        return DescribeResult(
            description=described.text,
            findings=findings_of(session, question, described.sentences, frames, site, described.named),
            frames=frames,
            mean_logprob=described.mean_logprob,
            call=session.call(described.question, time.perf_counter() - started),
            notes=described.notes,
        )


@dataclass(frozen=True)
class Description:
    """What a model wrote of a clip."""

    question: str
    text: str
    sentences: list[str]
    mean_logprob: float | None
    named: dict[str, float] = field(default_factory=dict)
    """Sentence → the second that the model named for it."""
    notes: list[str] = field(default_factory=list)


def describe_clip(session: ClipSession, site: str | None, max_new_tokens: int) -> Description:
    """Let the model describe a clip in the wording that fits it, without the moments of its findings.

    Args:
        session: The clip.
        site: The canonical site; ``None`` if it is not given.
        max_new_tokens: Most tokens of the description.
    """
    if session.prompts.wording == "plain":
        return _described_plainly(session, site, max_new_tokens)
    question = session.prompts.describe(PromptFacts(site=site))
    answer = session.generate(question, max_new_tokens=max_new_tokens)
    text = without_marks(answer.text).strip()
    mean_logprob = sum(answer.logprobs) / max(len(answer.logprobs), 1)
    return Description(question, text, split_sentences(text), mean_logprob)


def _described_plainly(session: ClipSession, site: str | None, max_new_tokens: int) -> Description:
    facts = PromptFacts(site=site, seconds=session.frames().seconds)
    question = session.prompts.describe(facts, DESCRIPTION_FORM)
    answer = ask_for_findings(session, question, max_new_tokens)
    return Description(
        question=question,
        text=answer.text,
        sentences=[finding.text for finding in answer.findings],
        mean_logprob=answer.mean_logprob,
        named={
            finding.text: finding.frame_seconds
            for finding in answer.findings
            if finding.frame_seconds is not None
        },
        notes=answer.notes,
    )


def findings_of(
    session: ClipSession,
    question: str,
    sentences: Sequence[str],
    frames: FramesSeen,
    site: str | None = None,
    named: Mapping[str, float] | None = None,
) -> list[LocatedFinding]:
    """Return each sentence with the frame that shows it best and with what it rests on.

    Args:
        session: The clip.
        question: The question that sentences are scored as answers to.
        sentences: The sentences.
        frames: The frames of the clip.
        site: The canonical site; ``None`` if it is not given.
        named: Sentence → the second that the model named for it; used if the engine does not score single frames.
    """
    findings, card = located(session, question, sentences, frames, named), session.recording.info.card
    tested = is_tested(card) and session.abilities.tests_sentences
    margins = margins_over_stand_ins(session, question, findings, site) if tested and findings else None
    grounded = with_evidence(findings, session.measured_frames(), card, margins)
    return [
        finding.model_copy(
            update={"seconds": frames.seconds[finding.position], "frame": frames.indices[finding.position]}
        )
        for finding in grounded
    ]


def margins_over_stand_ins(
    session: ClipSession, question: str, findings: Sequence[LocatedFinding], site: str | None
) -> list[float]:
    """Return by how many nats per token each finding is more likely on the clip than on any stand-in.

    The engine must be able to do that (``session.abilities.tests_sentences``).
    """
    texts = [finding.text[:_LONGEST_SCORED] for finding in findings]
    scores = [session.score(question, texts, reduce="mean")]
    frames = len(session.frames().indices)
    for kind in ("blank", "foreign"):
        with stand_in(session.recording.pool, kind, frames, site) as other:
            scores.append(other.score(question, texts, reduce="mean"))
    return [own - max(others) for own, *others in zip(*scores, strict=True)]


def located(
    session: ClipSession,
    question: str,
    sentences: Sequence[str],
    frames: FramesSeen,
    named: Mapping[str, float] | None = None,
) -> list[LocatedFinding]:
    """Return each sentence with the frame under which it is most likely.

    If the engine does not score single frames, it is the frame whose second the model named. Without that, the finding
    has the middle frame, and its ``moment`` is "none".
    """
    if len(frames.indices) == 1:
        return [_finding(text, [0.0], frames) for text in sentences]
    if not session.abilities.finds_moments:
        return [_named_finding(text, (named or {}).get(text), frames) for text in sentences]
    texts = [sentence[:_LONGEST_SCORED] for sentence in sentences]
    groups = [texts[start : start + _SCORED_AT_ONCE] for start in range(0, len(texts), _SCORED_AT_ONCE)]
    scores = [row for group in groups for row in session.score_moments(question, group)]
    return [_finding(text, row, frames) for text, row in zip(sentences, scores, strict=True)]


def _named_finding(text: str, second: float | None, frames: FramesSeen) -> LocatedFinding:
    position = None if second is None else frame_at(second, frames.seconds)
    moment: Moment = "none" if position is None else "named"
    position = len(frames.indices) // 2 if position is None else position
    return LocatedFinding(
        text=text,
        seconds=frames.seconds[position],
        frame=frames.indices[position],
        position=position,
        contrast=0.0,
        moment=moment,
    )


def frame_at(second: float, seconds: Sequence[float]) -> int | None:
    """Return the position of the frame that a second means: the nearest one.

    ``None`` if it is farther away than the frames are from one another: then no frame of the clip is meant.
    """
    nearest = min(range(len(seconds)), key=lambda position: abs(seconds[position] - second))
    gaps = (after - before for before, after in zip(seconds, seconds[1:], strict=False))
    return nearest if abs(seconds[nearest] - second) <= max(gaps, default=math.inf) else None


def _finding(text: str, scores: Sequence[float], frames: FramesSeen) -> LocatedFinding:
    best = max(range(len(scores)), key=scores.__getitem__)
    return LocatedFinding(
        text=text,
        seconds=frames.seconds[best],
        frame=frames.indices[best],
        position=best,
        contrast=round(scores[best] - sum(scores) / len(scores), 4),
    )
