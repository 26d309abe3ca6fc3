"""The describe tool: a description of a clip, and for each sentence the moment that shows it best."""

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
        question = describe_question(site)
        started = time.perf_counter()
        answer = session.generate(question, max_new_tokens=max_new_tokens)
        text = without_marks(answer.text).strip()
        frames = session.frames()
        return DescribeResult(
            description=text,
            findings=findings_of(session, question, split_sentences(text), frames, site),
            frames=frames,
            mean_logprob=sum(answer.logprobs) / max(len(answer.logprobs), 1),
            call=session.call(question, time.perf_counter() - started),
        )


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a description in order, each once. Joined by spaces they are the text without repeats."""
    pieces: list[str] = []
    for piece in _SENTENCE_END.split(" ".join(text.split())):
        if pieces and _ABBREVIATION.search(pieces[-1]):
            pieces[-1] += f" {piece}"
        elif piece:
            pieces.append(piece)
    return list(dict.fromkeys(pieces))


def findings_of(
    session: ClipSession,
    question: str,
    sentences: Sequence[str],
    frames: FramesSeen,
    site: str | None = None,
) -> list[LocatedFinding]:
    """Return each sentence with the frame that shows it best and with what it rests on."""
    findings, card = located(session, question, sentences, frames), session.recording.info.card
    margins = (
        margins_over_stand_ins(session, question, findings, site) if is_tested(card) and findings else None
    )
    grounded = with_evidence(findings, session.attributes(), card, margins)
    return [
        finding.model_copy(
            update={"seconds": frames.seconds[finding.position], "frame": frames.indices[finding.position]}
        )
        for finding in grounded
    ]


def margins_over_stand_ins(
    session: ClipSession, question: str, findings: Sequence[LocatedFinding], site: str | None
) -> list[float]:
    """Return by how many nats per token each finding is more likely on the clip than on any stand-in."""
    texts = [finding.text[:_LONGEST_SCORED] for finding in findings]
    scores = [session.score(question, texts, reduce="mean")]
    frames = len(session.frames().indices)
    for kind in ("blank", "foreign"):
        with stand_in(session.recording.pool, kind, frames, site) as other:
            scores.append(other.score(question, texts, reduce="mean"))
    return [own - max(others) for own, *others in zip(*scores, strict=True)]


def located(
    session: ClipSession, question: str, sentences: Sequence[str], frames: FramesSeen
) -> list[LocatedFinding]:
    """Return each sentence with the frame under which it is most likely."""
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
