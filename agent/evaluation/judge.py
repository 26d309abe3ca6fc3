"""The benchmark's three scores, 0 to 5, by a language model that reads question, reference and answer (never the video).

The protocol is that of Video-ChatGPT (Maaz et al., ACL 2024) as ViDRiP's benchmark uses it: a call each for correctness, detail and
context. Two parsers: ``published`` takes a reply as the benchmark's code does, bug for bug (a number behind the point is cut off,
whatever cannot be read is 0, and one failed call makes all three 0); ``strict`` asks for JSON by a schema, asks again, and counts what
failed instead of turning it into 0. The prompts are this project's own: scores are comparable only by the same judge, prompts and parser,
all of which are kept with them.
"""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath.agent.evaluation.answers import Answer
from videopath.agent.evaluation.ranking import Estimate
from videopath.core.errors import EngineError, InputError
from videopath.core.files import sha256_text, write_text

Aspect = Literal["context", "correctness", "detail"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
Parser = Literal["strict", "published"]

HIGHEST = 5
KEY = "VIDEOPATH_JUDGE_KEY"
"""Environment variable with the judge's API key; servers on this machine need none."""

_ASPECT_PROMPTS: dict[Aspect, str] = {
    "correctness": "Judge whether the prediction is factually right: the entity that is diagnosed, its grade and behaviour, and that no "
    "finding contradicts the reference. Synonyms of an entity are equal.",
    "detail": "Judge how complete and how specific the prediction is: whether it names the findings of the reference, of architecture, "
    "cells, stroma and background, and not generalities alone.",
    "context": "Judge whether the prediction understands the case as a whole as the reference does: organ, kind of specimen, the "
    "question that is asked, and how the findings lead to the diagnosis.",
}
_SYSTEM = (
    "You compare a predicted answer to a question about a pathology video with an expert's reference. {aspect} Give a whole number "
    "from 0 (nothing) to 5 (all)."
)
_PUBLISHED_FORM = "Reply with a Python dictionary alone, like {'score': 3}."
_STRICT_FORM = 'Reply with JSON alone, like {"score": 3}.'
_USER = "Question: {question}\nReference: {reference}\nPrediction: {prediction}"


class Judgement(BaseModel):
    """One answer's scores; none for a call that failed."""

    model_config = ConfigDict(frozen=True)

    id: str
    video: str
    scores: dict[Aspect, int | None]
    replies: dict[Aspect, list[str]]
    """As they came, the last one counts."""
    error: str = ""


class Judged(BaseModel):
    """All scores of a file of answers, and how they came about."""

    model_config = ConfigDict(frozen=True)

    judge: str
    parser: Parser
    date: str
    """ISO 8601, UTC: of the last judgement."""
    prompts_sha256: dict[Aspect, str]
    """By aspect, of what is asked without the answer in question."""
    answers: int
    failed: int
    """Answers of which a score is missing; they count in no mean (``published``: as 0)."""
    failures: dict[str, int]
    """Why they failed → how many."""
    scores: dict[str, Estimate]
    """By aspect, ``average`` of the three, and ``norm_average``: average / 5 × 100, from unrounded values. Empty where all failed."""


class _Score(BaseModel):
    score: int = Field(ge=0, le=HIGHEST, strict=True)


@dataclass(frozen=True)
class Judge:
    """An OpenAI-compatible server and a model on it, from ``URL#model``."""

    url: str
    model: str
    parser: Parser = "strict"
    tries: int = 3
    """Replies that are asked for at most until one can be read (``strict``)."""
    timeout: float = 60.0
    """Seconds of one call."""

    @classmethod
    def at(cls, place: str, parser: Parser = "strict", **settings: Any) -> Judge:
        """A judge from ``http://127.0.0.1:8000/v1#model``. Raises ``InputError`` for another form."""
        url, mark, model = place.partition("#")
        if not mark or not model or not url.startswith(("http://", "https://")):
            raise InputError(
                f"{place!r} is no judge: give the server's address and a model, like http://127.0.0.1:8000/v1#name."
            )
        return cls(url, model, parser, **settings)

    def judge(self, answers: Sequence[Answer]) -> Iterator[Judgement]:
        """The judgement of each answer, as it is known. An answer with an error is 0 in all, and nobody is asked.

        Raises ``EngineError`` where the server does not know the model or refuses the key.
        """
        client = self._client()
        for answer in answers:
            yield self._one(client, answer)

    @property
    def prompts(self) -> dict[Aspect, str]:
        """What is asked, by aspect, without the answer in question."""
        form = _STRICT_FORM if self.parser == "strict" else _PUBLISHED_FORM
        return {aspect: f"{_SYSTEM.format(aspect=_ASPECT_PROMPTS[aspect])} {form}" for aspect in ASPECTS}

    def summary(self, judgements: Sequence[Judgement]) -> Judged:
        """Means with intervals over videos. Raises ``InputError`` where nothing was judged."""
        whole = [one for one in judgements if all(score is not None for score in one.scores.values())]
        if not whole:
            raise InputError(f"The judge {self.model} gave no score that can be read; look at the replies.")
        videos = [one.video for one in whole]

        def estimate(values: Sequence[float], scale: float) -> Estimate:
            found = Estimate.of([value / scale for value in values], videos)
            return Estimate(
                found.value * scale, found.low * scale, found.high * scale, found.questions, found.clusters
            )

        by_aspect = {aspect: [float(one.scores[aspect] or 0) for one in whole] for aspect in ASPECTS}
        average = [sum(values) / len(ASPECTS) for values in zip(*by_aspect.values(), strict=True)]
        scores: dict[str, Estimate] = {name: estimate(values, HIGHEST) for name, values in by_aspect.items()}
        scores["average"] = estimate(average, HIGHEST)
        scores["norm_average"] = estimate([value / HIGHEST * 100 for value in average], 100)
        return Judged(
            judge=f"{self.url}#{self.model}",
            parser=self.parser,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            prompts_sha256={aspect: sha256_text(self.prompts[aspect]) for aspect in ASPECTS},
            answers=len(judgements),
            failed=sum(bool(one.error) for one in judgements),
            failures=Counter(one.error for one in judgements if one.error),
            scores=scores,
        )

    def _client(self) -> Any:
        from openai import OpenAI

        return OpenAI(
            base_url=self.url, api_key=os.environ.get(KEY, "none"), timeout=self.timeout, max_retries=2
        )

    def _one(self, client: Any, answer: Answer) -> Judgement:
        scores: dict[Aspect, int | None] = dict.fromkeys(ASPECTS)
        replies: dict[Aspect, list[str]] = {aspect: [] for aspect in ASPECTS}
        error = ""
        if answer.error:
            scores = dict.fromkeys(ASPECTS, 0)
        else:
            for aspect in ASPECTS:
                try:
                    scores[aspect] = self._score(client, aspect, answer, replies[aspect])
                except _Failed as failure:
                    error = error or f"{aspect}: {failure}"
        if error and self.parser == "published":
            scores = dict.fromkeys(ASPECTS, 0)
        return Judgement(id=answer.id, video=answer.video, scores=scores, replies=replies, error=error)

    def _score(self, client: Any, aspect: Aspect, answer: Answer, replies: list[str]) -> int:
        for _ in range(self.tries if self.parser == "strict" else 1):
            replies.append(self._reply(client, aspect, answer))
            if self.parser == "published":
                return published_score(replies[-1])
            found = strict_score(replies[-1])
            if found is not None:
                return found
        raise _Failed(f"none of {self.tries} replies holds a score from 0 to {HIGHEST}")

    def _reply(self, client: Any, aspect: Aspect, answer: Answer) -> str:
        import openai

        asked = _USER.format(question=answer.question, reference=answer.reference, prediction=answer.text)
        form: dict[str, Any] = {}
        if self.parser == "strict":
            schema = {"name": "score", "schema": _Score.model_json_schema(), "strict": True}
            form = {"response_format": {"type": "json_schema", "json_schema": schema}}
        try:
            reply = client.chat.completions.create(
                model=self.model,
                temperature=0,
                messages=[
                    {"role": "system", "content": self.prompts[aspect]},
                    {"role": "user", "content": asked},
                ],
                **form,
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise EngineError(
                f"The judge at {self.url} refuses: {error}; check the model's name and {KEY}."
            ) from error
        except openai.OpenAIError as error:
            raise _Failed(f"{type(error).__name__}: {error}") from error
        return str(reply.choices[0].message.content or "") if reply.choices else ""


class _Failed(Exception):
    """A call that gave no score."""


def published_score(reply: str) -> int:
    """The score of a reply as the benchmark's code reads it: ``int`` of the dictionary's ``score``, 0 for all else."""
    try:
        return int(ast.literal_eval(reply)["score"])
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError):
        return 0


def strict_score(reply: str) -> int | None:
    """The score of a JSON reply, a whole number from 0 to 5; none where it holds no such thing."""
    try:
        return _Score.model_validate_json(reply).score
    except ValidationError:
        return None


def write_judgements(path: Path, judgements: Sequence[Judgement]) -> None:
    """Every score with its raw replies, as JSON lines."""
    write_text(path, "".join(one.model_dump_json() + "\n" for one in judgements))
