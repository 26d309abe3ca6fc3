"""Describe what a clip shows, and find for each sentence the moment that shows it best."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field, SkipValidation, model_validator

from videopath.core.choices import MAX_ANSWER_TOKENS
from videopath.model.prompts.questions import describe_question
from videopath.model.prompts.template import without_marks
from videopath.tools.base import TissueTool
from videopath.tools.evidence import is_tested, with_evidence
from videopath.tools.reference_clips import stand_in
from videopath.tools.schemas import ClipInput, DescribeResult, FramesSeen, LocatedFinding, SiteInput
from videopath.tools.session_pool import ClipSession, Recording, SessionPool, pool_of

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|ca|approx|Fig|Dr|no)\.$", re.IGNORECASE)
_SCORED_AT_ONCE = 12  # sentences
_LONGEST_SCORED = 400  # characters


class DescribeInput(ClipInput, SiteInput):
    """What ``describe_tissue`` needs."""

    max_new_tokens: int = Field(256, ge=1, le=MAX_ANSWER_TOKENS)


class DescribeTool(TissueTool):
    """``DescribeTool(engine="nano").invoke({"video": "case.mp4"})`` gives a :class:`DescribeResult`."""

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
        question = describe_question(site)
        begun = time.perf_counter()
        answer = session.generate(question, max_new_tokens=max_new_tokens)
        text = without_marks(answer.text).strip()
        frames = session.frames()
        return DescribeResult(
            description=text,
            findings=found_in(session, question, split_sentences(text), frames, site),
            frames=frames,
            mean_logprob=sum(answer.logprobs) / max(len(answer.logprobs), 1),
            call=session.call(question, time.perf_counter() - begun),
        )


def split_sentences(text: str) -> list[str]:
    """The sentences of a description in order, each once; joined by spaces they are the text again, less repeats."""
    pieces: list[str] = []
    for piece in _SENTENCE_END.split(" ".join(text.split())):
        if pieces and _ABBREVIATION.search(pieces[-1]):
            pieces[-1] += f" {piece}"
        elif piece:
            pieces.append(piece)
    return list(dict.fromkeys(pieces))


def found_in(
    session: ClipSession,
    question: str,
    sentences: Sequence[str],
    frames: FramesSeen,
    site: str | None = None,
) -> list[LocatedFinding]:
    """Each sentence at the frame that shows it best, with what it rests on."""
    findings, card = located(session, question, sentences, frames), session.recording.info.card
    margins = (
        margins_over_stand_ins(session, question, findings, site) if is_tested(card) and findings else None
    )
    judged = with_evidence(findings, session.attributes(), card, margins)
    return [
        finding.model_copy(
            update={"seconds": frames.seconds[finding.position], "frame": frames.indices[finding.position]}
        )
        for finding in judged
    ]


def margins_over_stand_ins(
    session: ClipSession, question: str, findings: Sequence[LocatedFinding], site: str | None
) -> list[float]:
    """By how much each sentence is more likely on the clip than on any stand-in, in nats a token."""
    texts = [finding.text[:_LONGEST_SCORED] for finding in findings]
    scores = [session.score(question, texts, reduce="mean")]
    frames = len(session.frames().indices)
    for what in ("blank", "foreign"):
        with stand_in(session.recording.pool, what, frames, site) as other:
            scores.append(other.score(question, texts, reduce="mean"))
    return [here - max(others) for here, *others in zip(*scores, strict=True)]


def located(
    session: ClipSession, question: str, sentences: Sequence[str], frames: FramesSeen
) -> list[LocatedFinding]:
    """Each sentence at the frame under which it is most likely."""
    texts = [sentence[:_LONGEST_SCORED] for sentence in sentences]
    groups = [texts[start : start + _SCORED_AT_ONCE] for start in range(0, len(texts), _SCORED_AT_ONCE)]
    if len(frames.indices) == 1:
        scores = [[0.0]] * len(texts)
    else:
        scores = [row for group in groups for row in session.score_moments(question, group)]
    return [_finding(text, row, frames) for text, row in zip(sentences, scores, strict=True)]


def _finding(text: str, scores: Sequence[float], frames: FramesSeen) -> LocatedFinding:
    best = max(range(len(scores)), key=scores.__getitem__)
    return LocatedFinding(
        text=text,
        seconds=frames.seconds[best],
        frame=frames.indices[best],
        position=best,
        contrast=round(scores[best] - sum(scores) / len(scores), 4),
    )
